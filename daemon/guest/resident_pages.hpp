// Which pages of a mapping of this process exist, asked of the kernel without touching them. Any
// thread.
#pragma once

#include "daemon/guest/memory_backend.hpp"
#include "proto/error.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace mfd {

enum class ResidentPages : std::uint8_t {
    All,     // every page in memory or swapped out
    OwnOnly, // without those that are the file's own: what a private mapping changed
};

// Extents relative to the start of `memory`, ascending, in pages. Pages that only show the kernel's
// page of zeros are left out where the kernel can tell (Linux 6.7).
[[nodiscard]] Result<std::vector<ByteExtent>> find_resident_pages(std::span<const std::byte> memory,
                                                                  ResidentPages which);

} // namespace mfd
