// Shared by the tests of the two sources of dirty pages.
#pragma once

#include "daemon/guest/dirty_tracker.hpp"
#include "guest_support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace mfd::test {

inline std::unique_ptr<DirtyTracker> tracker(MemoryBackend& block) {
    std::array<MemoryBackend*, 1> blocks{&block};
    auto made = make_dirty_tracker(blocks);
    INFO((made.has_value() ? "" : made.error().what));
    REQUIRE(made.has_value());
    return std::move(*made);
}

inline std::vector<std::uint64_t> collect(DirtyTracker& tracker, const MemoryBackend& block) {
    PageBitmap dirty(block.size() / kPage);
    const auto count = tracker.collect(block, dirty);
    INFO((count.has_value() ? "" : count.error().what));
    REQUIRE(count.has_value());
    CHECK(*count == dirty.count());
    std::vector<std::uint64_t> pages;
    for (std::uint64_t page = 0; page < dirty.pages(); ++page)
        if (dirty.test(page))
            pages.push_back(page);
    return pages;
}

inline void write_byte(const MemoryBackend& block, std::uint64_t page, std::uint8_t value = 0x11) {
    block.memory()[page * kPage + 5] = std::byte{value};
}

} // namespace mfd::test
