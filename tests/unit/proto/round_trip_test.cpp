// Whatever is planned and encoded decodes to what went in.
#include "proto/decode.hpp"
#include "proto/device_state.hpp"
#include "tests/support/byte_sources.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>
#include <random>

using mfd::FileOffset;

namespace {

using Random = std::mt19937_64;

std::uint64_t pick(Random& random, std::uint64_t from, std::uint64_t to) {
    return from + random() % (to - from + 1);
}

std::vector<mfd::BlockSpec> random_blocks(Random& random) {
    std::vector<mfd::BlockSpec> blocks(pick(random, 0, 6));
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        blocks[i].idstr = std::string(pick(random, 0, 254), 'n') + static_cast<char>('0' + i);
        blocks[i].used_length = pick(random, 1, 700) * 4096;
    }
    return blocks;
}

mfd::Configuration random_configuration(Random& random) {
    mfd::Configuration configuration;
    configuration.machine = std::string(pick(random, 0, 255), 'q');
    if (random() % 2 == 0)
        configuration.uuid.emplace().fill(static_cast<std::byte>(random()));
    if (random() % 2 == 0)
        configuration.target_page_bits = 12;
    return configuration;
}

mfd::PageBitmap random_bitmap(Random& random, std::uint64_t pages) {
    mfd::PageBitmap bitmap(pages);
    for (std::uint64_t page = 0; page < pages; ++page)
        if (random() % 3 == 0)
            bitmap.set(page);
    return bitmap;
}

} // namespace

TEST_CASE("any stream that is planned and encoded decodes to the same", "[round_trip]") {
    const int seed = GENERATE(range(0, 200));
    INFO("seed " << seed);
    Random random(static_cast<std::uint64_t>(seed));
    const FileOffset at(pick(random, 0, 3 << 20));
    const auto configuration = random_configuration(random);
    const auto plan = mfd::plan_stream(at, configuration, random_blocks(random));
    REQUIRE(plan.has_value());

    mfd::testing::SparseSource file;
    for (mfd::Fragment& fragment : mfd::encode_head(*plan))
        file.put(std::move(fragment));
    std::vector<mfd::PageBitmap> bitmaps;
    for (const mfd::BlockLayout& layout : plan->blocks) {
        bitmaps.push_back(random_bitmap(random, layout.pages()));
        file.put(layout.bitmap_offset, bitmaps.back().bytes());
    }
    FileOffset end = plan->head_end;
    const std::uint64_t parts = pick(random, 0, 3);
    for (std::uint64_t i = 0; i < parts; ++i) {
        file.put(mfd::encode_part(end));
        end = end + 18;
    }
    const bool switchover = random() % 2 == 0;
    const auto globalstate = mfd::make_globalstate(3, "paused");
    mfd::Tail tail{switchover, {*globalstate}, mfd::make_vmdescription(plan->configuration)};
    const auto encoded = mfd::encode_tail(end, tail);
    REQUIRE(encoded.has_value());
    file.put(*encoded);

    const auto stream = mfd::decode_stream(file, at);
    if (!stream.has_value())
        FAIL(stream.error().what);
    CHECK(stream->configuration == plan->configuration);
    CHECK(stream->configuration_end == plan->start_offset);
    CHECK(stream->total_ram == plan->total_ram);
    REQUIRE(stream->blocks.size() == plan->blocks.size());
    for (std::size_t i = 0; i < bitmaps.size(); ++i) {
        CHECK(stream->blocks[i].layout == plan->blocks[i]);
        const auto bits = stream->blocks[i].bitmap.bytes();
        CHECK(std::equal(bits.begin(), bits.end(), bitmaps[i].bytes().begin(),
                         bitmaps[i].bytes().end()));
    }
    CHECK(stream->part_sections == parts);
    CHECK(stream->switchover_start == switchover);
    CHECK(stream->devices == tail.devices);
    CHECK(stream->vmdescription == tail.vmdescription);
    CHECK(stream->end == encoded->end());
}

TEST_CASE("early devices stay between START and PART", "[round_trip]") {
    const std::vector<mfd::BlockSpec> blocks = {{"m0", 0x2000}};
    const auto plan = mfd::plan_stream(FileOffset(0), {}, blocks);
    const std::vector<mfd::DeviceSection> early = {{9, "timer", 0, 2, {24, std::byte{1}}}};
    mfd::testing::SparseSource file;
    for (mfd::Fragment& fragment : mfd::encode_head(*plan))
        file.put(std::move(fragment));
    const auto devices = mfd::encode_devices(plan->head_end, early);
    file.put(*devices);
    const mfd::Fragment part = mfd::encode_part(devices->end());
    file.put(part);
    file.put(*mfd::encode_tail(part.end(), {true, {}, ""}));

    const auto stream = mfd::decode_stream(file, FileOffset(0));
    REQUIRE(stream.has_value());
    CHECK(stream->early_devices == early);
    CHECK(stream->devices.empty());
    CHECK_FALSE(stream->vmdescription_offset.has_value());
}

TEST_CASE("a save that has not got to its tail is refused", "[round_trip]") {
    const std::vector<mfd::BlockSpec> blocks = {{"m0", 0x2000}};
    const auto plan = mfd::plan_stream(FileOffset(0), {}, blocks);
    mfd::testing::SparseSource file;
    for (mfd::Fragment& fragment : mfd::encode_head(*plan)) {
        CHECK(mfd::decode_stream(file, FileOffset(0)).has_error());
        file.put(std::move(fragment));
    }
    CHECK(mfd::decode_stream(file, FileOffset(0)).has_error());
    file.put(mfd::encode_part(plan->head_end));
    CHECK(mfd::decode_stream(file, FileOffset(0)).has_error());
    const auto inspection = mfd::inspect_stream(file, FileOffset(0));
    CHECK(inspection.problem.has_value());
    CHECK(inspection.stream.blocks.size() == 1);
    CHECK(inspection.stream.part_sections == 1);
}

TEST_CASE("a vmdescription is found wherever it stands behind the devices", "[round_trip]") {
    const auto plan = mfd::plan_stream(FileOffset(0), {}, {});
    // END, the section's head and footer, and the end mark come with the body in front of it.
    // Device state of marker bytes is the worst to search.
    constexpr std::uint64_t kSearchStep = 65536;
    for (std::uint64_t bytes = kSearchStep - 70; bytes <= kSearchStep; ++bytes) {
        const mfd::DeviceSection device{3, "d", 0, 1, {bytes, std::byte{0x06}}};
        const std::string text =
            R"({"devices": [{"name": "d", "instance_id": 0, "version": 1, "fields": [{"size": )" +
            std::to_string(bytes) + "}]}]}";
        mfd::testing::SparseSource file;
        for (mfd::Fragment& fragment : mfd::encode_head(*plan))
            file.put(std::move(fragment));
        file.put(*mfd::encode_tail(plan->head_end, {false, {device}, text}));
        const auto stream = mfd::decode_stream(file, FileOffset(0));
        INFO("device state of " << bytes << " bytes");
        if (!stream.has_value())
            FAIL(stream.error().what);
        CHECK(stream->devices.front() == device);
        CHECK(stream->vmdescription == text);
    }
}
