// What a restore makes of a file: the guest's memory of one save or another, or nothing at all.
#pragma once

#include "daemon/guest/memory_backend.hpp"
#include "proto/error.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mfd::crash {

enum class Outcome : std::uint8_t {
    Absent, // there is no file
    Refused,
    Old,   // the memory of the save that stood in the file before
    New,   // the memory of the save that was traced
    Other, // accepted, with memory that the guest never had
};

struct Verdict {
    Outcome outcome = Outcome::Absent;
    std::string why{}; // of a refusal
};

// A RAM block, and what it held at either save.
struct BlockContent {
    std::string name;
    std::vector<std::byte> before{}; // empty: there was no save before
    std::vector<std::byte> after{};
};

class Judge {
public:
    // The stream stands at `offset` of every file.
    static Result<Judge> make(std::vector<BlockContent> blocks, std::uint64_t offset);

    // Restores the file as a daemon does that was told nothing special.
    Verdict restore(const std::string& path);

private:
    Judge(std::vector<BlockContent> blocks, std::uint64_t offset)
        : blocks_(std::move(blocks)), offset_(offset) {}
    [[nodiscard]] bool memory_is(std::vector<std::byte> BlockContent::*content) const;

    std::vector<BlockContent> blocks_;
    std::uint64_t offset_;
    std::vector<std::unique_ptr<MemoryBackend>> memory_; // in step with blocks_
    bool touched_ = true;                                // memory_, since it was poisoned
};

} // namespace mfd::crash
