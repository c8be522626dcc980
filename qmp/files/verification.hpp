// Is a saved file what was saved? Never writes; any thread.
#pragma once

#include "qmp/files/page_state.hpp"
#include "qmp/files/saved_file.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mfd::files {

enum class Verdict : std::uint8_t {
    Intact,      // complete, and all there is matches its checksums
    NoChecksums, // complete, and nothing contradicts it
    Damaged,     // damaged or incomplete: a restore refuses it
};

const char* verdict_name(Verdict verdict); // "intact", "no-checksums", "damaged"

struct Verification {
    Verdict verdict = Verdict::Damaged;
    std::optional<Error> problem;   // the first one, of Damaged
    bool ended_early = false;       // Damaged: no END section behind the RAM
    PageCounts pages;               // of all blocks, as far as they were read
    std::uint64_t pages_read = 0;   // and, with checksums, compared
    std::uint64_t stored_holes = 0; // Deep: stored pages whose slots are holes, so zero
};

enum class Depth : std::uint8_t {
    Checksums, // pages are read where there are checksums to compare them with
    AllPages,  // all stored pages are read
};

struct VerifyOptions {
    std::optional<std::uint64_t> offset;
    Depth depth = Depth::Checksums;
};

// An error: the file cannot be opened or read.
Result<Verification> verify_file(const std::string& path, const VerifyOptions& options);

} // namespace mfd::files
