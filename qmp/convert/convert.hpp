// One conversion: from a file or pipe in one form to a file (or pipe) in another.
//
//   sequential  -> mapped-ram   one pass over the input, which may be a pipe
//   mapped-ram  -> sequential   one pass over the output, which may be a pipe
//   mapped-ram  -> mapped-ram   other place, other zero pages, checksums
//
// Memory: bitmaps (2 of 32 MiB per TiB of RAM), device state, and a few MiB of buffers. A file
// appears under its name when it is complete and on stable storage.
#pragma once

#include "proto/error.hpp"
#include "qmp/convert/gathering_sink.hpp"
#include "qmp/convert/in_place.hpp"
#include "qmp/convert/output.hpp"
#include "qmp/convert/watcher.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace mfd::convert {

enum class Form : std::uint8_t { MappedRam, Sequential };

struct ConvertOptions {
    std::string input;  // "-": standard input
    std::string output; // "-": standard output
    std::optional<std::uint64_t> input_offset;
    std::uint64_t output_offset = 0;
    Form to = Form::MappedRam;
    std::optional<ZeroPages> zeros; // Keep between mapped-ram files, otherwise Drop
    Checksums checksums = Checksums::AsBefore;
    bool keep_header = false; // libvirt's, in front of the stream
    Existing existing = Existing::Keep;
};

struct ConvertResult {
    Form from = Form::Sequential;
    std::string packing; // of the input: "gzip", "zstd" or empty
    bool libvirt = false;
    std::string machine; // untrusted
    std::uint64_t blocks = 0;
    std::uint64_t total_ram = 0; // bytes
    std::uint64_t stored_pages = 0;
    std::uint64_t devices = 0;
    std::uint64_t stream_offset = 0; // in the output
    std::uint64_t output_bytes = 0;
    std::uint64_t allocated_bytes = 0;
    bool checksums = false;
};

Result<ConvertResult> run_conversion(const ConvertOptions& options, Watcher& watcher);

} // namespace mfd::convert
