// QEMU's ordinary stream, as `migrate` writes it to a file without mapped-ram: between the frames
// of the RAM section's parts stand the pages, each behind a word with its address and flags, and a
// page that the guest changed meanwhile stands there again. Everything else is as in a mapped-ram
// stream. It can only be read from its beginning to its end, so the source may be a pipe.
//
// As with decode.hpp nothing in it is believed, and every error says what is wrong and where (as an
// offset in the stream, which may lie behind something else or inside a compressed file).
#pragma once

#include "proto/byte_cursor.hpp"
#include "proto/decode.hpp"
#include "proto/error.hpp"
#include "proto/ram_sink.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace mfd {

// Bytes that come one after the other.
class ByteStream {
public:
    virtual ~ByteStream() = default;
    // The next bytes: at least `want` of them (no more than kMaxPeek), fewer only where the stream
    // ends. They stay where they are until the next call.
    virtual Result<std::span<const std::byte>> peek(std::size_t want) = 0;
    // Goes past bytes that peek() has shown.
    virtual void skip(std::size_t bytes) = 0;
    // Bytes gone past.
    [[nodiscard]] virtual std::uint64_t position() const = 0;

    // Header, configuration and a list of as many blocks as the decoder takes fit in.
    static constexpr std::size_t kMaxPeek = std::size_t{2} << 20;

protected:
    ByteStream() = default;
    ByteStream(const ByteStream&) = default;
    ByteStream& operator=(const ByteStream&) = default;
};

// Do these bytes begin a mapped-ram stream, which decode_stream() reads? Up to kMaxPeek of them are
// enough.
[[nodiscard]] bool begins_mapped_ram(std::span<const std::byte> bytes);

struct SequentialStream {
    Configuration configuration; // without mapped-ram
    GuestTail tail;
    std::uint64_t part_sections = 0;
    std::uint64_t stream_bytes = 0; // up to the end of the vmdescription
};

// Reads the stream to its end and hands its pages to `sink`. An error may come after pages have
// been handed on: then what the sink has made of them is good for nothing.
//
// Refused by name: pages sent with xbzrle, compression, RDMA or multifd, postcopy, and other
// iterable sections than `ram`.
Result<SequentialStream> decode_sequential(ByteStream& in, RamSink& sink,
                                           const DecodeLimits& limits = {});

// What stands in front of a page in a PART or END section: its word, and the block's name unless
// the page before is of the same block. A zero page is followed by a zero byte, which is put here
// as well; any other by its bytes.
enum class PageKind : std::uint8_t { Zero, Data };
enum class NamesBlock : std::uint8_t { Yes, SameAsBefore };
void put_page_word(ByteWriter& out, PageIndex page, PageKind kind, NamesBlock names,
                   std::string_view idstr);
// Where a part of the RAM section with pages begins and ends.
void put_part_begin(ByteWriter& out);
void put_part_end(ByteWriter& out);

} // namespace mfd
