// Any bytes as the head of a trailer, with a checksum that fits them, behind a stream that names it
// or one that does not (by the first byte). What is found has to lie inside the file.
#include "proto/trailer.hpp"
#include "tests/support/stream_with_trailer.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

using mfd::testing::StreamWithTrailer;

namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

void check(const mfd::Trailer& trailer, const mfd::DecodedStream& stream, std::uint64_t size) {
    require(trailer.blocks.size() == stream.blocks.size());
    require(trailer.end.value <= size && trailer.stream_end <= trailer.at);
    for (std::size_t i = 0; i < trailer.blocks.size(); ++i) {
        const mfd::Trailer::Block& block = trailer.blocks[i];
        require(block.pages == stream.blocks[i].layout.pages());
        require(block.table > trailer.at && block.table.value % mfd::kTrailerUnit == 0);
        require(block.table.value + block.pages * 4 <= trailer.end.value);
    }
}

} // namespace

// libFuzzer's name. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const StreamWithTrailer kNamed;
    static const StreamWithTrailer kUnnamed{mfd::make_vmdescription({})};
    if (size < 9)
        return 0;
    StreamWithTrailer stream = data[0] % 2 == 0 ? kNamed : kUnnamed;
    const auto head = std::as_bytes(std::span(data, size).subspan(1));
    // Where the head ends is its own word, so the checksum goes there if that lies inside.
    std::size_t head_bytes = head.size();
    if (mfd::wire::TrailerStart start; head.size() >= sizeof start) {
        std::memcpy(&start, head.data(), sizeof start);
        if (start.head_bytes.get() >= 8 && start.head_bytes.get() <= head.size())
            head_bytes = start.head_bytes.get();
    }
    stream.file.put(stream.trailer.at,
                    mfd::testing::sealed(
                        {head.begin(), head.begin() + static_cast<std::ptrdiff_t>(head_bytes)}));
    const mfd::DecodedStream decoded = stream.decoded();
    const auto found = mfd::find_trailer(stream.file, decoded);
    if (!found.has_value()) {
        require(found.error().what.find("at 0x") != std::string::npos && found.error().sys != 0);
        return 0;
    }
    if (!*found)
        return 0;
    check(**found, decoded, stream.file.size());
    const auto sound = mfd::check_metadata(stream.file, decoded, **found);
    require(sound.has_value() || sound.error().what.find("at 0x") != std::string::npos);
    return 0;
}
