#include "qmp/files/guest_map.hpp"

#include <catch2/catch_test_macros.hpp>

using mfd::DecodedBlock;
using mfd::files::guest_map;
using mfd::files::GuestMapOptions;
using mfd::files::GuestRange;

namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr std::uint64_t kPages = kGiB / mfd::kPageSize; // of a GiB

std::vector<DecodedBlock> blocks(const std::vector<std::pair<const char*, std::uint64_t>>& specs) {
    std::vector<DecodedBlock> out;
    for (const auto& [name, bytes] : specs) {
        DecodedBlock block;
        block.layout.idstr = name;
        block.layout.used_length = bytes;
        out.push_back(std::move(block));
    }
    return out;
}

std::vector<GuestRange> mapped(const char* machine, const std::vector<DecodedBlock>& of,
                               const GuestMapOptions& options = {}) {
    auto map = guest_map(machine, of, options);
    REQUIRE(map.has_value());
    return *map;
}

} // namespace

TEST_CASE("memory that fits below the hole of a PC is one range", "[guest_map]") {
    const auto small = blocks({{"pc.ram", 0xb0000000 - mfd::kPageSize}});
    CHECK(mapped("pc-q35-9.2", small).size() == 1);
    const auto more = blocks({{"pc.ram", 0xe0000000 - mfd::kPageSize}});
    CHECK(mapped("pc-i440fx-10.0", more).size() == 1);
    CHECK(mapped("none", blocks({{"m0", 64 * kGiB}})) ==
          std::vector<GuestRange>{{0, {0, 64 * kPages}, 0}});
}

TEST_CASE("memory of a PC that does not fit goes on at 4 GiB", "[guest_map]") {
    CHECK(
        mapped("pc-i440fx-10.0", blocks({{"m0", 0xe0000000}})) ==
        std::vector<GuestRange>{{0, {0, 3 * kPages}, 0}, {0, {3 * kPages, kPages / 2}, 4 * kGiB}});
    CHECK(mapped("pc-q35-9.2", blocks({{"/objects/m0", 0xb0000000}})) ==
          std::vector<GuestRange>{{0, {0, 2 * kPages}, 0},
                                  {0, {2 * kPages, kPages * 3 / 4}, 4 * kGiB}});
}

TEST_CASE("several blocks that are told to be RAM follow each other around the hole",
          "[guest_map]") {
    const auto nodes = blocks({{"n1", 2 * kGiB}, {"n0", 2 * kGiB}, {"d0", kGiB}});
    CHECK(mapped("pc-i440fx-10.0", nodes, {{"n0", "n1"}, {{"d0", 8 * kGiB}}}) ==
          std::vector<GuestRange>{{1, {0, 2 * kPages}, 0},
                                  {0, {0, kPages}, 2 * kGiB},
                                  {0, {kPages, kPages}, 4 * kGiB},
                                  {2, {0, kPages}, 8 * kGiB}});
    const auto refused = guest_map("pc-i440fx-10.0", nodes, {});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().what.find("n1, n0, d0") != std::string::npos);
}

TEST_CASE("a block that is placed leaves the only other one to be the RAM, unless it lies at 0",
          "[guest_map]") {
    const auto two = blocks({{"m0", 2 * kGiB}, {"d0", kGiB}});
    CHECK(mapped("none", two, {{}, {{"d0", 8 * kGiB}}}) ==
          std::vector<GuestRange>{{0, {0, 2 * kPages}, 0}, {1, {0, kPages}, 8 * kGiB}});
    CHECK(mapped("none", two, {{}, {{"d0", 0}}}) ==
          std::vector<GuestRange>{{1, {0, kPages}, 0}, {0, {0, 2 * kPages}, 1024 * kGiB, false}});
}

TEST_CASE("firmware ends at 4 GiB, and what has no known place lies from 1 TiB on", "[guest_map]") {
    const auto all = blocks({{"pc.ram", kGiB},
                             {"0000:00:02.0/vga.vram", 16 << 20},
                             {"pc.bios", 256 << 10},
                             {"pc.rom", 128 << 10}});
    CHECK(mapped("pc-i440fx-10.0", all) ==
          std::vector<GuestRange>{{0, {0, kPages}, 0},
                                  {2, {0, 64}, 4 * kGiB - (256 << 10)},
                                  {1, {0, 4096}, 1024 * kGiB, false},
                                  {3, {0, 32}, 1025 * kGiB, false}});
    const auto flash =
        blocks({{"pc.ram", kGiB}, {"system.flash0", 4 << 20}, {"system.flash1", 1 << 20}});
    CHECK(mapped("pc-q35-9.2", flash) ==
          std::vector<GuestRange>{{0, {0, kPages}, 0},
                                  {2, {0, 256}, 4 * kGiB - (5 << 20)},
                                  {1, {0, 1024}, 4 * kGiB - (4 << 20)}});
}

TEST_CASE("places that cannot be are refused", "[guest_map]") {
    const auto two = blocks({{"a", kGiB}, {"b", kGiB}});
    const std::vector<GuestMapOptions> wrong = {
        {{"c"}, {}},
        {{"a", "a"}, {}},
        {{"a"}, {{"a", 8 * kGiB}}},
        {{"a"}, {{"b", kGiB / 2}}},
        {{}, {{"a", 0}, {"b", kGiB - mfd::kPageSize}}},
        {{"a"}, {{"b", 1}}},
        {{"a"}, {{"b", 0xfffffffffffff000}}},
    };
    for (const GuestMapOptions& options : wrong)
        CHECK_FALSE(guest_map("none", two, options).has_value());
}
