// Asynchronous write protection of this process's memory: pages are made read-only, the kernel
// lifts that by itself at the first write, and a scan of the page table finds where it did. Nobody
// waits and nobody answers page faults. Linux 6.7; see dirty_tracker.hpp.
//
// The protection of a page is a bit of its page table entry. What is not in memory needs an entry
// with a marker instead, or else the kernel could not tell "unmapped after a write" from "never
// looked at":
//   shared memory and files   markers over the whole block (2 MiB of page tables per GiB), and an
//   entry
//                             without a marker counts as written
//   anonymous memory          only pages that exist are protected, so that a guest that uses little
//                             costs little; entries of its pages never get lost, and what has none
//                             was not written
#pragma once

#include "daemon/guest/memory_backend.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace mfd {

class WriteProtection {
public:
    // Whether the kernel and our rights suffice; the error is for a person.
    static Result<void> probe();
    static Result<WriteProtection> open();

    WriteProtection(WriteProtection&&) noexcept = default;
    WriteProtection& operator=(WriteProtection&&) noexcept = default;
    WriteProtection(const WriteProtection&) = delete;
    WriteProtection& operator=(const WriteProtection&) = delete;
    // The kernel ends all protection as the descriptor is closed, which takes some 40 ms per GiB.
    ~WriteProtection();

    // Every write from the return on is found by take_written(). One thread, not beside the others.
    Result<void> start(const MemoryBackend& block);
    // Sets the bits of pages written since the last call, protects them again, and counts them.
    // Different blocks may be looked at by different threads at the same time.
    Result<std::uint64_t> take_written(const MemoryBackend& block, PageBitmap& into) const;
    // The last use of the blocks, which may go away from here on.
    void stop();

private:
    [[nodiscard]] Result<void> protect(const MemoryBackend& block, std::uint64_t start,
                                       std::uint64_t length) const;
    WriteProtection(UniqueFd uffd, UniqueFd pagemap)
        : uffd_(std::move(uffd)), pagemap_(std::move(pagemap)) {}

    UniqueFd uffd_;
    UniqueFd pagemap_;
    std::vector<const MemoryBackend*> blocks_; // registered
};

} // namespace mfd
