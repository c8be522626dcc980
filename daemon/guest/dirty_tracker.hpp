// Which pages were written since the last look. One interface, chosen block by block:
//   pagemap     memory written inside this process: asynchronous write protection (Linux 6.7)
//   shared log  memory written by another process, which logs its writes into a shared bitmap
//   none        a stopped guest: nothing is ever dirty
// A tracker is made, used and destroyed by the job thread; collect() may be called for different
// blocks from different threads. It borrows the blocks from start() to stop(), while a
// GuestMemory::Hold keeps them alive.
#pragma once

#include "daemon/guest/memory_backend.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace mfd {

enum class TrackingSource : std::uint8_t { None, Pagemap, SharedLog };

// "none", "pagemap", "shared-log".
[[nodiscard]] std::string_view tracking_source_name(TrackingSource source);

class DirtyTracker {
public:
    DirtyTracker() = default;
    DirtyTracker(const DirtyTracker&) = delete;
    DirtyTracker& operator=(const DirtyTracker&) = delete;
    // Stops if stop() was not called, and waits for the kernel to let go of the memory.
    virtual ~DirtyTracker() = default;

    [[nodiscard]] virtual TrackingSource source(const MemoryBackend& block) const = 0;
    // From the return on, every page written is reported by a later collect(). Call it before the
    // first page is read. An error leaves nothing registered.
    [[nodiscard]] virtual Result<void> start() = 0;
    // Sets the bits of the pages written since start() or the last collect() and forgets them. Bits
    // that are set stay set. Returns how many pages it reported. A page written during the call is
    // reported by this one or the next, never lost.
    [[nodiscard]] virtual Result<std::uint64_t> collect(const MemoryBackend& block,
                                                        PageBitmap& into) = 0;
    // Ends tracking and the use of the blocks; safe to call twice, and without start(). The kernel
    // lets go of the memory when the tracker is destroyed or started again: that may take long
    // (40 ms per GiB), and until then no other tracker can have it.
    virtual void stop() = 0;
};

struct TrackingSupport {
    bool pagemap = false;
    std::string pagemap_lacks; // which kernel feature or right is missing, for a person
};

// Asks the kernel; leaves nothing behind.
[[nodiscard]] TrackingSupport probe_tracking();

// A tracker for a running guest: the shared log where a block has one, pagemap for the rest.
// Refuses memory that another process may write and that has no log, and what the kernel cannot do.
[[nodiscard]] Result<std::unique_ptr<DirtyTracker>>
make_dirty_tracker(std::span<MemoryBackend* const> blocks);

// For a guest that is stopped and stays so.
[[nodiscard]] std::unique_ptr<DirtyTracker> make_no_tracker();

} // namespace mfd
