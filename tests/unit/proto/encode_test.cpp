// What the encoder writes, byte for byte against files that QEMU wrote.
#include "proto/decode.hpp"
#include "proto/device_state.hpp"
#include "proto/encode.hpp"
#include "tests/unit/proto/golden.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

using mfd::FileOffset;
using mfd::Fragment;
using mfd::testing::Json;

namespace {

void check_same_bytes(mfd::ByteSource& file, const Fragment& fragment) {
    std::vector<std::byte> expected(fragment.bytes.size());
    REQUIRE(fragment.end().value <= file.size());
    REQUIRE(file.read_at(fragment.at, expected).has_value());
    INFO("fragment at " << fragment.at.value);
    CHECK(fragment.bytes == expected);
}

mfd::StreamPlan plan_again(const mfd::DecodedStream& stream) {
    std::vector<mfd::BlockSpec> blocks;
    for (const mfd::DecodedBlock& block : stream.blocks)
        blocks.push_back({block.layout.idstr, block.layout.used_length});
    auto plan = mfd::plan_stream(stream.stream_offset, stream.configuration, blocks,
                                 mfd::BlockOrder::AsGiven);
    REQUIRE(plan.has_value());
    return std::move(*plan);
}

// Start of a stream with one block "m0" of 16 MiB, as the format's description has it.
constexpr const char* kExampleHead = "5145564d00000003"
                                     "07000000046e6f6e65"
                                     "051a636f6e66696775726174696f6e2f6361706162696c6974696573"
                                     "00000001000000010a6d61707065642d72616d"
                                     "01000000010372616d0000000000000004"
                                     "0000000001000004"
                                     "026d300000000001000000"
                                     "00000001000000000000100000000000000000800000000000100000";

} // namespace

TEST_CASE("the example of the format is encoded to its bytes", "[encode]") {
    const std::vector<mfd::BlockSpec> blocks = {{"m0", 0x1000000}};
    const auto plan = mfd::plan_stream(FileOffset(0), {}, blocks);
    REQUIRE(plan.has_value());
    const auto head = mfd::encode_head(*plan);
    REQUIRE(head.size() == 2);
    CHECK(head[0].at == FileOffset(0));
    CHECK(head[0].bytes == mfd::testing::bytes_of_hex(kExampleHead));
    CHECK(head[0].end() == plan->blocks[0].bitmap_offset);
    CHECK(head[1].at == FileOffset(0x1100000));
    CHECK(head[1].bytes == mfd::testing::bytes_of_hex("00000000000000107e00000001"));
    CHECK(head[1].end() == plan->head_end);
    CHECK(mfd::encode_part(FileOffset(5)).at == FileOffset(5));
    CHECK(mfd::encode_part(FileOffset(5)).bytes ==
          mfd::testing::bytes_of_hex("020000000100000000000000107e00000001"));
}

TEST_CASE("the worked example of FORMAT.md has the offsets it shows", "[encode]") {
    const std::vector<mfd::BlockSpec> blocks = {{"m0", 0x8000}};
    const auto plan = mfd::plan_stream(FileOffset(0), {}, blocks);
    REQUIRE(plan.has_value());
    CHECK(plan->head_end == FileOffset(0x10800d));
    const Fragment part = mfd::encode_part(plan->head_end);
    CHECK(part.end() == FileOffset(0x10801f));
    const auto globalstate = mfd::make_globalstate(2, "paused");
    const auto tail = mfd::encode_tail(
        part.end(), {true, {*globalstate}, mfd::make_vmdescription(plan->configuration)});
    REQUIRE(tail.has_value());
    CHECK(tail->end() == FileOffset(0x1083c1));
    mfd::testing::SparseSource file;
    file.put(*tail);
    check_same_bytes(file,
                     {FileOffset(0x108036), mfd::testing::bytes_of_hex("0400000002"
                                                                       "0b676c6f62616c7374617465"
                                                                       "0000000000000001"
                                                                       "00000007"
                                                                       "70617573656400")});
    check_same_bytes(file, {FileOffset(0x1080b7), mfd::testing::bytes_of_hex("7e00000002"
                                                                             "00"
                                                                             "06000002ff"
                                                                             "7b2263")});
}

TEST_CASE("the tail holds switchover, END, devices, end mark and vmdescription", "[encode]") {
    mfd::Tail tail;
    tail.switchover_start = true;
    tail.devices.push_back({3, "dev", 1, 2, {std::byte{0xaa}}});
    tail.vmdescription = "{}";
    const auto with_all = mfd::encode_tail(FileOffset(0x1000), tail);
    REQUIRE(with_all.has_value());
    CHECK(with_all->bytes == mfd::testing::bytes_of_hex("08000b0000"
                                                        "030000000100000000000000107e00000001"
                                                        "040000000303646576"
                                                        "0000000100000002"
                                                        "aa7e00000003"
                                                        "00"
                                                        "06000000027b7d"));
    const auto bare = mfd::encode_tail(FileOffset(0x1000), {false, {}, ""});
    REQUIRE(bare.has_value());
    CHECK(bare->bytes == mfd::testing::bytes_of_hex("030000000100000000000000107e0000000100"));
    tail.devices[0].idstr = std::string(256, 'x');
    CHECK(mfd::encode_tail(FileOffset(0), tail).has_error());
}

TEST_CASE("a stream by QEMU, planned and encoded again, is the same byte for byte",
          "[golden][encode]") {
    mfd::testing::require_golden();
    for (const Json& expected : mfd::testing::complete_samples()) {
        INFO("sample " << expected.at("name"));
        auto file = mfd::testing::open_sample(expected.at("name"));
        const auto stream =
            mfd::decode_stream(file, FileOffset(expected.at("stream_offset").get<std::uint64_t>()));
        REQUIRE(stream.has_value());
        const mfd::StreamPlan plan = plan_again(*stream);
        for (std::size_t i = 0; i < plan.blocks.size(); ++i)
            CHECK(plan.blocks[i] == stream->blocks[i].layout);
        for (const Fragment& fragment : mfd::encode_head(plan))
            check_same_bytes(file, fragment);
        FileOffset at = plan.head_end;
        const auto early = mfd::encode_devices(at, stream->early_devices);
        check_same_bytes(file, *early);
        at = early->end();
        for (std::uint64_t part = 0; part < stream->part_sections; ++part) {
            const Fragment fragment = mfd::encode_part(at);
            check_same_bytes(file, fragment);
            at = fragment.end();
        }
        const auto tail = mfd::encode_tail(
            at, {stream->switchover_start, stream->devices, stream->vmdescription});
        REQUIRE(tail.has_value());
        check_same_bytes(file, *tail);
        CHECK(tail->end().value == file.size());
        CHECK(mfd::machine_sends_switchover_start(stream->configuration.machine) ==
              stream->switchover_start);
    }
}
