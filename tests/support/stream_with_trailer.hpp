// A small stream with a trailer: two blocks with some pages stored, a globalstate, vmdescription.
#pragma once

#include "proto/byte_cursor.hpp"
#include "proto/checksum.hpp"
#include "proto/device_state.hpp"
#include "proto/encode.hpp"
#include "proto/plan.hpp"
#include "proto/trailer.hpp"
#include "proto/trailer_mark.hpp"
#include "proto/wire.hpp"
#include "tests/support/byte_sources.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mfd::testing {

struct StreamWithTrailer {
    static constexpr std::uint64_t kId = 0xfedcba9876543210;

    StreamPlan plan;
    Trailer trailer;
    SparseSource file;

    StreamWithTrailer() : StreamWithTrailer(with_trailer_id(make_vmdescription({}), kId)) {}
    // With this vmdescription, which may be empty.
    explicit StreamWithTrailer(const std::string& vmdescription)
        : plan(*plan_stream(FileOffset(0), {},
                            std::vector<BlockSpec>{{"a", 1500 * kPageSize}, {"b", kPageSize}})) {
        PageBitmap a(1500);
        PageBitmap b(1);
        a.set_range({700, 400});
        b.set(0);
        std::vector<Fragment> pieces = encode_head(plan);
        pieces.push_back(encode_part(plan.head_end));
        pieces.push_back(*encode_tail(pieces.back().end(),
                                      {true, {*make_globalstate(3, "running")}, vmdescription}));
        trailer = *plan_trailer(plan, pieces.back().end(), kId);
        const std::uint64_t sections_end =
            trailer.stream_end.value - vmdescription_bytes(vmdescription);
        for (const Fragment& piece : pieces)
            file.put(piece);
        file.put(plan.blocks[0].bitmap_offset, a.bytes());
        file.put(plan.blocks[1].bitmap_offset, b.bytes());
        trailer.configuration_checksum = sum(0, plan.start_offset.value);
        trailer.blocks[0].entry_checksum =
            sum(plan.start_offset.value, plan.blocks[0].bitmap_offset.value);
        trailer.blocks[1].entry_checksum =
            sum(plan.blocks[0].slots_end().value, plan.blocks[1].bitmap_offset.value);
        trailer.blocks[0].bitmap_checksum = checksum64(a.bytes());
        trailer.blocks[1].bitmap_checksum = checksum64(b.bytes());
        trailer.sections_checksum = sum(plan.ram_end.value, sections_end);
        trailer.vmdescription_checksum = sum(sections_end, trailer.stream_end.value);
        file.put(encode_trailer(trailer));
        file.set_size(trailer.end.value);
    }

    [[nodiscard]] DecodedStream decoded() { return *decode_stream(file, FileOffset(0)); }

private:
    std::uint64_t sum(std::uint64_t from, std::uint64_t to) {
        std::vector<std::byte> bytes(to - from);
        static_cast<void>(file.read_at(FileOffset(from), bytes));
        return checksum64(bytes);
    }
};

// The head of a trailer with the checksum that its bytes need, whatever they are.
inline std::vector<std::byte> sealed(std::vector<std::byte> head) {
    ByteWriter out;
    out.put_bytes(std::span<const std::byte>(head).first(head.size() - 8));
    return out.put_big(checksum64(std::span<const std::byte>(head).first(head.size() - 8)))
        .take_all();
}

} // namespace mfd::testing
