// A dirty bitmap in memory shared with the process that writes the guest's pages: the log format of
// vhost-user. Bit n % 8 of byte n / 8 stands for page n of the block, 4 KiB each. The writer sets
// the bit, with an atomic OR, after it wrote the page; the daemon takes and clears it with an
// atomic exchange of a 64-bit word. So a page whose bit comes later than the look at it is found at
// the next.
#pragma once

#include "daemon/guest/memory_backend.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <cstdint>

namespace mfd {

class SharedDirtyLog {
public:
    // Maps the log of `block`, which must have one and outlive this.
    static Result<SharedDirtyLog> map(const MemoryBackend& block);

    // Forgets what was logged so far.
    Result<void> reset();
    Result<std::uint64_t> take_written(PageBitmap& into);

private:
    SharedDirtyLog(const MemoryBackend& block, MappedMemory mapping)
        : block_(&block), mapping_(std::move(mapping)) {}
    // The descriptor is the other process's too: it may have been cut since it was passed.
    [[nodiscard]] Result<void> check_length() const;

    const MemoryBackend* block_;
    MappedMemory mapping_;
};

} // namespace mfd
