// The decoder's steps, in the order of the stream. For decode.cpp only.
#pragma once

#include "proto/decode.hpp"
#include "proto/error.hpp"
#include "proto/stream_reader.hpp"
#include "proto/vmdescription.hpp"

#include <cstdint>
#include <string_view>

namespace mfd::decoding {

// Header and configuration; leaves the reader at the first section.
Result<void> decode_configuration(StreamReader& in, const DecodeOptions& options,
                                  DecodedStream& out);

// The RAM section's START: blocks, headers, bitmaps, EOS, footer. Fills `out` as far as it gets.
Result<void> decode_ram_start(StreamReader& in, const DecodeLimits& limits, DecodedStream& out);

// The word that ends each part of the RAM section.
Result<void> decode_ram_eos(StreamReader& in);

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

// What looks like a vmdescription that lists devices, from `from` on: the device sections in front
// of it cannot be walked without it, so it has to be found by its looks. More than one only if a
// device's state happens to look like one; a handful at most are returned.
Result<std::vector<FoundVmdescription>> find_vmdescriptions(StreamReader& in, FileOffset from,
                                                            const DecodeLimits& limits);

// Everything behind the START section, up to the end of the stream. With a vmdescription all
// devices must be as it lists them, and it must stand where the stream ends; without one (null)
// only devices of known length can be walked. Fills `out` as far as it gets.
Result<void> decode_sections(StreamReader& in, const FoundVmdescription* description,
                             const DecodeLimits& limits, DecodedStream& out);

} // namespace mfd::decoding
