#include "proto/trailer.hpp"

#include "proto/byte_cursor.hpp"
#include "proto/wire.hpp"
#include "tests/support/stream_with_trailer.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

using mfd::FileOffset;
using mfd::testing::StreamWithTrailer;

namespace {

// What finding the trailer and comparing the metadata comes to.
std::string verdict(StreamWithTrailer& stream) {
    const auto decoded = stream.decoded();
    const auto found = mfd::find_trailer(stream.file, decoded);
    if (!found.has_value())
        return found.error().what;
    if (!*found)
        return "none";
    const auto matches = mfd::check_metadata(stream.file, decoded, **found);
    return matches.has_value() ? "sound" : matches.error().what;
}

// The head with another number in one of its fields, and a checksum that fits.
template <std::unsigned_integral T>
void put_in_head(StreamWithTrailer& stream, std::size_t field, T value) {
    std::vector<std::byte> head = mfd::encode_trailer(stream.trailer).bytes;
    mfd::ByteWriter number;
    number.put_big(value);
    const auto bytes = number.take_all();
    std::copy(bytes.begin(), bytes.end(), head.begin() + static_cast<std::ptrdiff_t>(field));
    stream.file.put(stream.trailer.at, mfd::testing::sealed(std::move(head)));
}

void flip(StreamWithTrailer& stream, FileOffset at, unsigned bit = 0) {
    std::vector<std::byte> byte(1);
    REQUIRE(stream.file.read_at(at, byte).has_value());
    byte[0] ^= std::byte{1} << bit;
    stream.file.put(at, byte);
}

constexpr auto kBlocks = sizeof(mfd::wire::TrailerHead);
constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

} // namespace

TEST_CASE("a trailer is found behind the stream, as it was written", "[trailer]") {
    StreamWithTrailer stream;
    CHECK(verdict(stream) == "sound");
    const auto found = mfd::find_trailer(stream.file, stream.decoded());
    REQUIRE((found.has_value() && found->has_value()));
    const mfd::Trailer& trailer = **found;
    CHECK(trailer.at.value % 4096 == 0);
    CHECK(trailer.at >= trailer.stream_end);
    CHECK(trailer.blocks[0].table == trailer.at + 4096);
    CHECK(trailer.blocks[1].table ==
          trailer.at + 3 * mfd::kTrailerUnit); // 1500 checksums of 4 bytes
    CHECK(trailer.end == trailer.at + 4 * mfd::kTrailerUnit);
    CHECK(trailer.id == StreamWithTrailer::kId);
}

TEST_CASE("a stream without a trailer has none", "[trailer]") {
    StreamWithTrailer stream(mfd::make_vmdescription({}));
    const auto cut = GENERATE(0, 1, 15, 16);
    stream.file.put(stream.trailer.at, std::vector<std::byte>(4096));
    stream.file.set_size(cut == 0 ? stream.trailer.stream_end.value
                                  : stream.trailer.at.value + static_cast<std::uint64_t>(cut));
    CHECK(verdict(stream) == "none");
}

TEST_CASE("a trailer of an older stream does not count", "[trailer]") {
    StreamWithTrailer stream(mfd::make_vmdescription({})); // names none
    const auto other = GENERATE(0, 1, 2, 3);
    if (other == 0)
        stream.trailer.configuration_checksum ^= 1;
    else if (other == 1)
        stream.trailer.sections_checksum ^= 1;
    else
        stream.trailer.blocks[static_cast<std::size_t>(other) - 2].bitmap_checksum ^= 1;
    stream.file.put(mfd::encode_trailer(stream.trailer));
    CHECK(verdict(stream) == "none");
}

TEST_CASE("a trailer with another number than the vmdescription names is refused", "[trailer]") {
    StreamWithTrailer stream;
    stream.trailer.id ^= 1;
    stream.file.put(mfd::encode_trailer(stream.trailer));
    CHECK(verdict(stream).find("its number is 0xfedcba9876543211, the vmdescription names "
                               "0xfedcba9876543210") != std::string::npos);
}

TEST_CASE("a stream without a vmdescription has the trailer whose metadata are its own",
          "[trailer]") {
    StreamWithTrailer stream("");
    CHECK(verdict(stream) == "sound");
}

TEST_CASE("a trailer that is named and not there is missed", "[trailer]") {
    StreamWithTrailer stream;
    const auto size = GENERATE(std::uint64_t{0}, 1, 15, 16, 80, 100, 152, 4096, 8192, 16383);
    stream.file.set_size(size == 0 ? stream.trailer.stream_end.value
                                   : stream.trailer.at.value + size);
    CHECK(verdict(stream).starts_with("trailer with the checksums: "));
}

TEST_CASE("a bit flipped anywhere in the trailer's head is found", "[trailer]") {
    const std::size_t bytes = mfd::encode_trailer(StreamWithTrailer().trailer).bytes.size();
    for (std::size_t at = 0; at < bytes; ++at) {
        StreamWithTrailer stream;
        flip(stream, stream.trailer.at + at, at % 8);
        INFO("byte " << at);
        CHECK(verdict(stream).starts_with("trailer with the checksums: "));
    }
}

TEST_CASE("a bit flipped anywhere in the metadata is found, and where is said", "[trailer]") {
    StreamWithTrailer sound;
    struct Piece {
        FileOffset from, to;
        std::string name;
    };
    const auto& a = sound.plan.blocks[0];
    const auto& b = sound.plan.blocks[1];
    const FileOffset sections_end = *sound.decoded().vmdescription_offset;
    // Without the block's name in front of its entry: that may be what was hit.
    const std::vector<Piece> pieces{
        {FileOffset(0), sound.plan.start_offset, "file header and configuration"},
        {sound.plan.start_offset, a.bitmap_offset, ": its entry and mapped-ram header"},
        {a.bitmap_offset, a.bitmap_offset + a.bitmap_size(), "ramblock a: bitmap"},
        {a.slots_end(), b.bitmap_offset, ": its entry and mapped-ram header"},
        {b.bitmap_offset, b.bitmap_offset + b.bitmap_size(), "ramblock b: bitmap"},
        {b.slots_end(), sections_end, "sections behind the RAM"},
        {sections_end, sound.trailer.stream_end, "vmdescription"}};
    std::uint64_t named = 0;
    for (const Piece& piece : pieces) {
        for (FileOffset at = piece.from; at < piece.to; at = at + 1) {
            StreamWithTrailer stream;
            flip(stream, at, at.value % 8);
            INFO("byte " << at.value);
            // Most are refused by the decoder; the rest must be by checksum.
            const auto decoded = mfd::decode_stream(stream.file, FileOffset(0));
            if (!decoded.has_value())
                continue;
            const std::string said = verdict(stream);
            CHECK((said.find(piece.name) != std::string::npos ||
                   said.starts_with("trailer with the checksums: its number")));
            ++named;
        }
    }
    CHECK(named > 100);
}

TEST_CASE("a version that is not known is refused by name", "[trailer]") {
    StreamWithTrailer stream;
    put_in_head(stream, 8, std::uint32_t{2});
    CHECK(verdict(stream).find("are of version 2, which is not known here: x-verify=off") !=
          std::string::npos);
}

TEST_CASE("a field of the head at its limits is refused, whatever its checksum", "[trailer]") {
    StreamWithTrailer stream;
    struct Field {
        std::size_t at;
        std::uint64_t value;
    };
    const auto field =
        GENERATE(Field{16, 0}, Field{16, 4096}, Field{16, kMax}, Field{16, 4 * 4096 + 1}, // length
                 Field{24, 0},                                                            // number
                 Field{32, 1}, Field{32, kMax},                                           // start
                 Field{40, 0}, Field{40, kMax},                                           // end
                 Field{72, 0}, Field{72, 1}, Field{72, 3}, Field{72, kMax},               // blocks
                 Field{kBlocks, 0}, Field{kBlocks, 1501}, Field{kBlocks, kMax},           // pages
                 Field{kBlocks + 8, 0}, Field{kBlocks + 8, 1}, Field{kBlocks + 8, kMax},
                 Field{kBlocks + 8, kMax & ~std::uint64_t{4095}});
    INFO("field " << field.at << " = " << field.value);
    put_in_head(stream, field.at, field.value);
    CHECK(verdict(stream).starts_with("trailer with the checksums: "));
}

TEST_CASE("a head whose length cannot be is refused", "[trailer]") {
    StreamWithTrailer stream;
    const auto bytes = GENERATE(std::uint32_t{0}, 87, 88, 120, 153, 1U << 20, (1U << 20) + 1,
                                std::numeric_limits<std::uint32_t>::max());
    put_in_head(stream, 12, bytes);
    CHECK(verdict(stream).starts_with("trailer with the checksums: "));
}

TEST_CASE("a trailer that would lie past the longest file is not planned", "[trailer]") {
    const StreamWithTrailer stream;
    const auto end = GENERATE(kMax, std::uint64_t{1} << 63, (std::uint64_t{1} << 63) - 4096);
    CHECK_FALSE(mfd::plan_trailer(stream.plan, FileOffset(end), 1).has_value());
}
