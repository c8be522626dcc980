// Guest memory that is no longer there: somebody shortened the file behind it, the disk cannot read
// it, no huge page is left. The kernel answers a look at it with SIGBUS, which would end the
// daemon. Instead zeros stand in for what is gone, and the loss is kept in mind, so that a job can
// fail.
#pragma once

#include "channels/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mfd {

// Watches one mapping for as long as it lives. Made and destroyed on the control thread, while
// nobody looks at the memory; the memory may be lost in any thread.
class FaultWatch {
public:
    FaultWatch() = default; // watches nothing
    // The first one takes over the process's SIGBUS. `file` is what is mapped from `file_offset`
    // on, and stays open; invalid for anonymous memory. `page_bytes`: 4096, or of the huge pages.
    FaultWatch(std::span<std::byte> memory, FdRef file, std::uint64_t file_offset,
               std::uint64_t page_bytes);
    FaultWatch(FaultWatch&& other) noexcept;
    FaultWatch& operator=(FaultWatch&& other) noexcept;
    FaultWatch(const FaultWatch&) = delete;
    FaultWatch& operator=(const FaultWatch&) = delete;
    ~FaultWatch();

    // Where the lost memory begins, in bytes from the mapping's start; nothing if all is there.
    [[nodiscard]] std::optional<std::uint64_t> lost_from() const;

private:
    struct Entry;
    struct Registry;
    Entry* entry_ = nullptr;
};

} // namespace mfd
