// Lists of ascending byte ranges. Pure functions.
#pragma once

#include "daemon/guest/memory_backend.hpp"

#include <cstdint>
#include <vector>

namespace mfd {

// Appends [begin, end), widened to multiples of `unit` and cut to `within`, joining it with what it
// touches. `begin` must not be below the last extent's offset.
void append_extent(std::vector<ByteExtent>& list, std::uint64_t begin, std::uint64_t end,
                   std::uint64_t unit, ByteExtent within);

// What is in either list.
[[nodiscard]] std::vector<ByteExtent> merge_extents(const std::vector<ByteExtent>& a,
                                                    const std::vector<ByteExtent>& b);

} // namespace mfd
