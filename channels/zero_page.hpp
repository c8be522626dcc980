// Is a page all zero? Decided by the widest vector unit that pays, chosen once at run time. All
// functions may be called from any thread; they only read, but reading a hole of a shared mapping
// allocates it, so callers leave known holes out.
#pragma once

#include "proto/checked.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace mfd {

// `page` points to kPageSize bytes, aligned to 64.
[[nodiscard]] bool is_zero_page(const std::byte* page);

// How many pages from `pages` on are zero (hold data), up to `count`.
[[nodiscard]] std::uint64_t count_zero_pages(const std::byte* pages, std::uint64_t count);
[[nodiscard]] std::uint64_t count_data_pages(const std::byte* pages, std::uint64_t count);

// One implementation of the test; for tests and benchmarks.
struct ZeroKernel {
    const char* name;
    bool (*is_zero)(const std::byte* page);
};
// Those that this processor runs, the one in use first.
[[nodiscard]] std::span<const ZeroKernel> zero_kernels();

} // namespace mfd
