// Hands the pages of several blocks out in chunks, to any number of threads at once. A chunk is a
// whole number of bitmap cache lines, so two workers never write to one; chunks are small enough
// that the workers end together, and large enough that runs are seldom cut.
#pragma once

#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mfd {

// A block's length, its place in the file and its bitmap must fit each other.
Result<void> check_slots(const std::string& block_name, std::uint64_t length_bytes,
                         std::uint64_t pages_offset, std::uint64_t bitmap_pages);

class ChunkCursor { // NOLINT(clang-analyzer-optin.performance.Padding): keeps next_ apart
public:
    struct Chunk {
        std::size_t block = 0;
        PageRun pages;
    };

    // Starts over with blocks of these lengths, for so many workers. Not while others call next().
    void reset(std::span<const std::uint64_t> block_pages, unsigned workers);
    // Any thread; nothing when all is handed out.
    std::optional<Chunk> next();

    [[nodiscard]] std::uint64_t chunk_pages() const { return chunk_pages_; }

private:
    std::vector<std::uint64_t> pages_;  // of each block
    std::vector<std::uint64_t> starts_; // number of each block's first chunk, and one past the last
    std::uint64_t chunk_pages_ = 0;
    alignas(64) std::atomic<std::uint64_t> next_{0}; // in a line of its own
};

} // namespace mfd
