#include "proto/plan.hpp"

#include <catch2/catch_test_macros.hpp>

#include <limits>
#include <string>
#include <vector>

using mfd::BlockSpec;
using mfd::FileOffset;
using mfd::plan_stream;

namespace {

constexpr std::uint64_t kMiB = 0x100000;

std::string refusal(const std::vector<BlockSpec>& blocks, FileOffset at = FileOffset(0),
                    const mfd::Configuration& configuration = {}) {
    const auto plan = plan_stream(at, configuration, blocks);
    return plan.has_value() ? "accepted" : plan.error().what;
}

std::vector<std::string> names(const mfd::StreamPlan& plan) {
    std::vector<std::string> all;
    for (const auto& block : plan.blocks)
        all.push_back(block.idstr);
    return all;
}

} // namespace

TEST_CASE("the example of the format is laid out as QEMU does", "[plan]") {
    const std::vector<BlockSpec> blocks = {{"m0", 16 * kMiB}};
    const auto plan = plan_stream(FileOffset(0), {}, blocks);
    REQUIRE(plan.has_value());
    CHECK(plan->start_offset == FileOffset(0x40));
    CHECK(plan->total_ram == 16 * kMiB);
    REQUIRE(plan->blocks.size() == 1);
    const mfd::BlockLayout& m0 = plan->blocks[0];
    CHECK(m0.entry_offset == FileOffset(0x59));
    CHECK(m0.header_offset == FileOffset(0x64));
    CHECK(m0.bitmap_offset == FileOffset(0x80));
    CHECK(m0.bitmap_size() == 512);
    CHECK(m0.pages_offset == FileOffset(0x100000));
    CHECK(m0.slot(mfd::PageIndex(2)) == FileOffset(0x102000));
    CHECK(m0.slots_end() == FileOffset(0x1100000));
    CHECK(plan->ram_end == FileOffset(0x1100000));
    CHECK(plan->head_end == FileOffset(0x110000d));
}

TEST_CASE("page areas stand at multiples of 1 MiB of the file, whatever the stream's offset",
          "[plan]") {
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x10671},
                                       kMiB - 1, kMiB, 7 * kMiB + 12345}) {
        const std::vector<BlockSpec> blocks = {{"a", 0x3000}, {"b", 0x1000}, {"c", 0x2000}};
        const auto plan = plan_stream(FileOffset(offset), {}, blocks);
        REQUIRE(plan.has_value());
        FileOffset end = plan->start_offset;
        for (const auto& block : plan->blocks) {
            CHECK(block.pages_offset.value % kMiB == 0);
            CHECK(block.entry_offset >= end);
            CHECK(block.bitmap_offset + block.bitmap_size() <= block.pages_offset);
            CHECK(block.pages_offset.value - block.bitmap_offset.value - block.bitmap_size() <
                  kMiB);
            end = block.slots_end();
        }
        CHECK(plan->ram_end == end);
    }
}

TEST_CASE("a bitmap that ends at a multiple of 1 MiB is followed by its pages at once", "[plan]") {
    // 0x80 bytes precede the bitmap of a block named "m0"; 8 bytes of bitmap follow.
    const std::vector<BlockSpec> blocks = {{"m0", 0x1000}};
    const auto touching = plan_stream(FileOffset(kMiB - 0x88), {}, blocks);
    CHECK(touching->blocks[0].pages_offset == FileOffset(kMiB));
    const auto past = plan_stream(FileOffset(kMiB - 0x87), {}, blocks);
    CHECK(past->blocks[0].pages_offset == FileOffset(2 * kMiB));
}

TEST_CASE("blocks come largest first, equal ones as given, or all as given", "[plan]") {
    const std::vector<BlockSpec> blocks = {
        {"rom", 0x2000}, {"ram", 0x9000}, {"vga", 0x2000}, {"tables", 0x3000}};
    const auto sorted = plan_stream(FileOffset(0), {}, blocks);
    CHECK(names(*sorted) == std::vector<std::string>{"ram", "tables", "rom", "vga"});
    const auto given = plan_stream(FileOffset(0), {}, blocks, mfd::BlockOrder::AsGiven);
    CHECK(names(*given) == std::vector<std::string>{"rom", "ram", "vga", "tables"});
}

TEST_CASE("a stream without RAM is planned as QEMU writes it", "[plan]") {
    const auto plan = plan_stream(FileOffset(0), {}, {});
    REQUIRE(plan.has_value());
    CHECK(plan->total_ram == 0);
    CHECK(plan->ram_end == FileOffset(0x59));
}

TEST_CASE("names that a stream cannot carry are refused", "[plan]") {
    CHECK(refusal({{"", 0x1000}}) == "RAM block '': name is empty");
    CHECK(refusal({{std::string(255, 'x'), 0x1000}}) == "accepted");
    CHECK(refusal({{std::string(256, 'x'), 0x1000}}).ends_with("name is longer than 255 bytes"));
    CHECK(refusal({{std::string("a\0b", 3), 0x1000}}) ==
          "RAM block 'a\\x00b': name contains a zero byte");
    CHECK(refusal({{"m0", 0x1000}, {"m1", 0x2000}, {"m0", 0x2000}}) ==
          "RAM block 'm0': two blocks have this name");
    mfd::Configuration configuration;
    configuration.machine = std::string(256, 'x');
    CHECK(refusal({}, FileOffset(0), configuration).starts_with("machine name 'xxx"));
    configuration.machine = std::string(255, 'x');
    CHECK(refusal({}, FileOffset(0), configuration) == "accepted");
    configuration.capabilities = {""};
    CHECK(refusal({}, FileOffset(0), configuration) == "capability name '' is empty");
}

TEST_CASE("lengths have to be positive multiples of a page", "[plan]") {
    CHECK(refusal({{"m0", 0}}).ends_with("length 0x0 is not a positive multiple of 4096"));
    CHECK(refusal({{"m0", 0xfff}}).ends_with("length 0xfff is not a positive multiple of 4096"));
    CHECK(refusal({{"m0", 0x1001}}).ends_with("length 0x1001 is not a positive multiple of 4096"));
    CHECK(refusal({{"m0", 0x1000}}) == "accepted");
}

TEST_CASE("what would end past the largest file is refused, not wrapped", "[plan]") {
    constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
    CHECK(refusal({{"m0", ~std::uint64_t{0xfff}}}).ends_with("past the largest possible file"));
    CHECK(refusal({{"m0", std::uint64_t{1} << 63}}).ends_with("past the largest possible file"));
    CHECK(refusal({{"m0", std::uint64_t{1} << 62}}) == "accepted");
    CHECK(refusal({{"m0", std::uint64_t{1} << 62}, {"m1", std::uint64_t{1} << 62}})
              .ends_with("past the largest possible file"));
    CHECK(refusal({{"m0", 0x1000}}, FileOffset(kLargest)).ends_with("largest possible file"));
    CHECK(refusal({{"m0", 0x1000}}, FileOffset(~std::uint64_t{0})).ends_with("possible file"));
    // Header, configuration, empty RAM section: 0x66 bytes.
    CHECK(refusal({}, FileOffset(kLargest - 0x66)) == "accepted");
    CHECK(refusal({}, FileOffset(kLargest - 0x65)).ends_with("largest possible file"));
}

TEST_CASE("machine types of 10.0 and later, and those without version, announce the switchover",
          "[plan]") {
    for (const char* machine : {"none", "microvm", "isapc", "x-remote", "pc-i440fx-10.0",
                                "pc-q35-10.1", "virt-11.0", "pc-q35", "pc-9", "", "-", "a-10.0-x"})
        CHECK(mfd::machine_sends_switchover_start(machine));
    for (const char* machine :
         {"pc-i440fx-9.2", "pc-q35-2.12", "pc-i440fx-3.0", "pseries-2.12-sxxm", "virt-9.2"})
        CHECK_FALSE(mfd::machine_sends_switchover_start(machine));
}
