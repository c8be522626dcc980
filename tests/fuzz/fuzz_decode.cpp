// Any bytes as a migration file. The source throws on a read outside of it; what decodes has to
// keep what the decoder promises, and to survive being planned, encoded and decoded again.
#include "proto/decode.hpp"
#include "tests/support/byte_sources.hpp"

#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

using mfd::FileOffset;

namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

void check_places(const mfd::DecodedStream& stream, std::uint64_t size) {
    FileOffset end = stream.configuration_end;
    std::uint64_t total = 0;
    for (const mfd::DecodedBlock& block : stream.blocks) {
        const mfd::BlockLayout& layout = block.layout;
        require(layout.entry_offset >= end && layout.header_offset > layout.entry_offset);
        require(layout.bitmap_offset > layout.header_offset);
        require(layout.bitmap_offset.value + layout.bitmap_size() <= layout.pages_offset.value);
        require(layout.slots_end().value <= size);
        require(block.bitmap.pages() == layout.pages() && !block.bitmap.has_stray_bits());
        end = layout.slots_end();
        total += layout.used_length;
    }
    require(total == stream.total_ram && stream.end > end && stream.end.value <= size);
}

// Written again as this project would write it.
void check_round_trip(const mfd::DecodedStream& stream) {
    std::vector<mfd::BlockSpec> blocks;
    for (const mfd::DecodedBlock& block : stream.blocks)
        blocks.push_back({block.layout.idstr, block.layout.used_length});
    const auto plan = mfd::plan_stream(stream.stream_offset, stream.configuration, blocks,
                                       mfd::BlockOrder::AsGiven);
    require(plan.has_value());
    mfd::testing::SparseSource file;
    for (mfd::Fragment& fragment : mfd::encode_head(*plan))
        file.put(std::move(fragment));
    for (std::size_t i = 0; i < blocks.size(); ++i)
        file.put(plan->blocks[i].bitmap_offset, stream.blocks[i].bitmap.bytes());
    const auto early = mfd::encode_devices(plan->head_end, stream.early_devices);
    require(early.has_value());
    file.put(*early);
    const auto tail = mfd::encode_tail(
        early->end(), {stream.switchover_start, stream.devices, stream.vmdescription});
    require(tail.has_value());
    file.put(*tail);

    const auto again = mfd::decode_stream(file, stream.stream_offset);
    require(again.has_value());
    require(again->configuration == stream.configuration);
    require(again->total_ram == stream.total_ram);
    require(again->early_devices == stream.early_devices && again->devices == stream.devices);
    require(again->vmdescription == stream.vmdescription);
}

} // namespace

// libFuzzer's name. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    mfd::testing::MemorySource source(std::as_bytes(std::span(data, size)));
    const auto inspection = mfd::inspect_stream(source, FileOffset(0));
    const auto stream = mfd::decode_stream(source, FileOffset(0));
    require(stream.has_value() != inspection.problem.has_value());
    if (!stream.has_value()) {
        require(stream.error().what.find(", at 0x") != std::string::npos);
        require(stream.error().sys != 0);
        return 0;
    }
    require(stream->complete);
    check_places(*stream, size);
    check_round_trip(*stream);
    return 0;
}
