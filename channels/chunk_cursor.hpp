// Hands the pages of several blocks out in chunks, to any number of threads at once. A chunk is a
// whole number of bitmap cache lines, so two workers never write to one; chunks are small enough
// that the workers end together, and large enough that runs are seldom cut.
//
// Told which NUMA node each chunk is on, it hands a worker the chunks of its own node first, then
// those of no known node, then those of the others, so that no worker is idle before the end.
#pragma once

#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
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

    static constexpr std::size_t kNoNode = SIZE_MAX;

    // Starts over with blocks of these lengths, for so many workers, and chunks of no known node.
    // Not while others call next().
    void reset(std::span<const std::uint64_t> block_pages, unsigned workers);
    // Says for each chunk which of so many nodes it is on, or kNoNode. Between reset() and the
    // first next().
    void place(std::span<const std::size_t> node_of_chunk, std::size_t nodes);
    // Any thread; nothing when all is handed out. `node` is below the number given to place().
    std::optional<Chunk> next(std::size_t node = 0);

    [[nodiscard]] std::uint64_t chunk_pages() const { return chunk_pages_; }
    [[nodiscard]] std::uint64_t chunks() const { return starts_.back(); }
    // Any of them, by its number below chunks().
    [[nodiscard]] Chunk chunk(std::uint64_t number) const;

private:
    // Chunks of one node, handed out in this order.
    struct alignas(64) NodeChunks {
        std::vector<std::uint64_t> numbers;
        std::atomic<std::uint64_t> next{0};
        std::optional<std::uint64_t> take();
    };

    std::vector<std::uint64_t> pages_; // of each block
    // Number of each block's first chunk, and one past the last.
    std::vector<std::uint64_t> starts_ = {0};
    std::uint64_t chunk_pages_ = 0;
    // For each node, then for no known one; empty: chunks go by next_. A deque, since atomics do
    // not move.
    std::deque<NodeChunks> nodes_;
    alignas(64) std::atomic<std::uint64_t> next_{0}; // in a line of its own
};

} // namespace mfd
