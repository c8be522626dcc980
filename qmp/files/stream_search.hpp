// Where in a file the QEMU stream begins: at its start, behind the header of a libvirt save image,
// or where the caller says. Reads a few bytes only. Any thread.
#pragma once

#include "proto/decode.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mfd::files {

// The header of a libvirt save image ("virsh save"), version 1 and 2: 92 bytes in the writing
// host's byte order, then `data_bytes` of XML, cookie and room, then the stream.
struct LibvirtHeader {
    bool complete = false; // libvirt marks an image as such when all is written
    std::uint32_t version = 0;
    std::uint32_t data_bytes = 0;
    bool was_running = false;
    std::uint32_t format = 0;
    std::uint32_t cookie_offset = 0; // in the data; 0: none
    std::string xml;                 // the domain's, as it stands there: untrusted
    // "raw", "gzip", ..., "sparse"; "format N" of one that is not known.
    [[nodiscard]] std::string format_name() const;
};

struct StreamPlace {
    FileOffset offset;
    std::optional<LibvirtHeader> libvirt;
    // Does QEMU's magic stand there? Not in a damaged file, in one of something else, and behind a
    // libvirt header that is followed by something compressed.
    bool has_magic = false;
};

// `offset` set: there, whatever stands before it. Errors: the file cannot be read, or its libvirt
// header cannot be followed.
Result<StreamPlace> find_stream(ByteSource& source, std::optional<std::uint64_t> offset);

} // namespace mfd::files
