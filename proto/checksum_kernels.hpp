// The page loop around XXH3, compiled once for each instruction set. For checksum*.cpp only. No
// header of the standard library but these: a template that is compiled for AVX2 here must not
// become the one that the linker takes for all.
#pragma once

#include <cstddef>
#include <cstdint>

#define XXH_INLINE_ALL // xxHash's name. NOLINT(readability-identifier-naming)
#include <xxhash.h>

namespace mfd::checksum {

void page_checksums_avx2(const std::byte* pages, std::uint64_t count, std::uint32_t* checksums);

inline constexpr std::size_t kPageBytes = 4096;

namespace {

inline void page_loop(const std::byte* pages, std::uint64_t count, std::uint32_t* checksums) {
    for (std::uint64_t page = 0; page < count; ++page)
        checksums[page] =
            static_cast<std::uint32_t>(XXH3_64bits(pages + page * kPageBytes, kPageBytes));
}

} // namespace

} // namespace mfd::checksum
