// The decoder's steps, in the order of the stream. For decode.cpp only.
#pragma once

#include "proto/decode.hpp"
#include "proto/error.hpp"
#include "proto/stream_reader.hpp"
#include "proto/vmdescription.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd::decoding {

// Header and configuration; leaves the reader at the first section.
Result<void> decode_configuration(StreamReader& in, const DecodeOptions& options, RamForm form,
                                  DecodedStream& out);

// The RAM section's START: blocks, headers, bitmaps, EOS, footer. Fills `out` as far as it gets. In
// the sequential form a block is its name and length alone.
Result<void> decode_ram_start(StreamReader& in, const DecodeLimits& limits, RamForm form,
                              DecodedStream& out);

// The word that ends each part of the RAM section.
Result<void> decode_ram_eos(StreamReader& in);

// The sections behind START, with the help of whichever vmdescription fits them. Of `out` it needs
// the START section. If none fits, what the walk that got furthest found is what is wrong.
Result<void> decode_rest(StreamReader& in, const DecodeLimits& limits, DecodedStream& out);

Result<void> decode_footer(StreamReader& in, std::string_view idstr, std::uint32_t section_id);

// A vmdescription found in the file.
struct FoundVmdescription {
    FileOffset at; // its marker
    std::string text;
    Vmdescription parsed;
    [[nodiscard]] FileOffset end() const { return at + 5 + text.size(); }
};

// The length field and text of the vmdescription whose marker is at `at`, parsed.
Result<FoundVmdescription> read_vmdescription(StreamReader& in, FileOffset at,
                                              const DecodeLimits& limits);

// Finds what looks like a vmdescription that lists devices, from `from` on: the device sections in
// front of it cannot be walked without it, so it has to be found by its looks. QEMU's files have
// one such place; a device's state might happen to look like one too. Gives up after a handful.
class VmdescriptionSearch {
public:
    VmdescriptionSearch(StreamReader& in, FileOffset from, const DecodeLimits& limits);

    // The next one, in the order of the file; nothing if there is none. Moves the reader.
    Result<std::optional<FoundVmdescription>> next();

private:
    // What is at `place`, if it is sound and lists devices.
    Result<std::optional<FoundVmdescription>> try_at(FileOffset place);
    Result<std::span<const std::byte>> ahead();

    StreamReader& in_;
    const DecodeLimits& limits_;
    FileOffset at_; // searched up to here
    FileOffset end_;
    std::size_t found_ = 0;
    std::uint64_t parsed_bytes_ = 0;
    FileOffset chunk_at_;
    std::vector<std::byte> chunk_;
};

// Everything behind the START section, up to the end of the stream. With a vmdescription all
// devices must be as it lists them, and it must stand where the stream ends; without one (null)
// only devices of known length can be walked. Fills `out` as far as it gets.
Result<void> decode_sections(StreamReader& in, const FoundVmdescription* description,
                             const DecodeLimits& limits, DecodedStream& out);

} // namespace mfd::decoding
