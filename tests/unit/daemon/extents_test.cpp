#include "daemon/guest/extents.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace {

using Pairs = std::vector<std::pair<std::uint64_t, std::uint64_t>>; // begin, end

Pairs shown(const std::vector<mfd::ByteExtent>& extents) {
    Pairs pairs;
    for (const mfd::ByteExtent& extent : extents)
        pairs.emplace_back(extent.offset, extent.end());
    return pairs;
}

constexpr mfd::ByteExtent kWithin{4096, 10 * 4096};

} // namespace

TEST_CASE("an extent takes whole units, within what is asked about", "[extents]") {
    const auto appended = [](std::uint64_t begin, std::uint64_t end) {
        std::vector<mfd::ByteExtent> list;
        mfd::append_extent(list, begin, end, 4096, kWithin);
        return shown(list);
    };
    CHECK(appended(8192, 12288) == Pairs{{8192, 12288}});
    CHECK(appended(8193, 12287) == Pairs{{8192, 12288}});
    CHECK(appended(8192, 12289) == Pairs{{8192, 16384}});
    CHECK(appended(0, 5000) == Pairs{{4096, 8192}});
    CHECK(appended(40000, UINT64_MAX) == Pairs{{36864, 45056}});
    CHECK(appended(0, 4096).empty());
    CHECK(appended(45056, 50000).empty());
}

TEST_CASE("extents that touch or overlap are one", "[extents]") {
    std::vector<mfd::ByteExtent> list;
    for (const auto& [begin, end] : Pairs{{4096, 8192}, {8192, 9000}, {16384, 20480}})
        mfd::append_extent(list, begin, end, 4096, kWithin);
    CHECK(shown(list) == Pairs{{4096, 12288}, {16384, 20480}});
    const std::vector<mfd::ByteExtent> other{{8192, 4096}, {20480, 4096}, {32768, 4096}};
    CHECK(shown(mfd::merge_extents(list, other)) ==
          Pairs{{4096, 12288}, {16384, 24576}, {32768, 36864}});
    CHECK(shown(mfd::merge_extents({}, other)) == shown(other));
}
