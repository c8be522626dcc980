#include "channels/chunk_cursor.hpp"

#include "proto/checked.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace mfd {

namespace {
// 2 MiB to 32 MiB: the smallest is a cache line of the bitmap and a huge page, the largest costs
// some ten milliseconds, which is how far workers may end apart.
constexpr std::uint64_t kSmallestPages = PageBitmap::kPagesPerCacheLine;
constexpr std::uint64_t kLargestPages = 16 * kSmallestPages;
constexpr std::uint64_t kChunksPerWorker = 16;
} // namespace

Result<void> check_slots(const std::string& block_name, std::uint64_t length_bytes,
                         std::uint64_t pages_offset, std::uint64_t bitmap_pages) {
    const auto end = checked_add(pages_offset, length_bytes);
    if (length_bytes % kPageSize != 0 || pages_offset % kPageSize != 0 || !end ||
        *end > INT64_MAX || bitmap_pages != length_bytes / kPageSize)
        return Error{Errc::BadArgument,
                     "block " + block_name + ": its length, file offset and bitmap do not fit"};
    return {};
}

void ChunkCursor::reset(std::span<const std::uint64_t> block_pages, unsigned workers) {
    pages_.assign(block_pages.begin(), block_pages.end());
    const std::uint64_t total = std::accumulate(pages_.begin(), pages_.end(), std::uint64_t{0});
    const std::uint64_t fair = total / (workers * kChunksPerWorker);
    chunk_pages_ =
        std::clamp(fair / kSmallestPages * kSmallestPages, kSmallestPages, kLargestPages);
    starts_.assign(1, 0);
    for (const std::uint64_t pages : pages_)
        starts_.push_back(starts_.back() + (pages + chunk_pages_ - 1) / chunk_pages_);
    nodes_.clear();
    next_.store(0, std::memory_order_relaxed);
}

void ChunkCursor::place(std::span<const std::size_t> node_of_chunk, std::size_t nodes) {
    nodes_.resize(nodes + 1);
    for (std::uint64_t number = 0; number < chunks(); ++number)
        nodes_[std::min(node_of_chunk[number], nodes)].numbers.push_back(number);
}

std::optional<std::uint64_t> ChunkCursor::NodeChunks::take() {
    // Looked at first, so that workers past the end do not pull the line from each other.
    if (next.load(std::memory_order_relaxed) >= numbers.size())
        return std::nullopt;
    const std::uint64_t index = next.fetch_add(1, std::memory_order_relaxed);
    return index < numbers.size() ? std::optional(numbers[index]) : std::nullopt;
}

std::optional<ChunkCursor::Chunk> ChunkCursor::next(std::size_t node) {
    if (nodes_.empty()) {
        const std::uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
        return number < chunks() ? std::optional(chunk(number)) : std::nullopt;
    }
    const std::size_t unknown = nodes_.size() - 1;
    if (const auto number = nodes_[node].take())
        return chunk(*number);
    if (const auto number = nodes_[unknown].take())
        return chunk(*number);
    // Each worker begins behind its own node, so that not all of them go for the same one.
    for (std::size_t step = 1; step < unknown; ++step)
        if (const auto number = nodes_[(node + step) % unknown].take())
            return chunk(*number);
    return std::nullopt;
}

ChunkCursor::Chunk ChunkCursor::chunk(std::uint64_t number) const {
    const auto after = std::ranges::upper_bound(starts_, number);
    const auto block = static_cast<std::size_t>(after - starts_.begin()) - 1;
    const std::uint64_t first = (number - starts_[block]) * chunk_pages_;
    return {block, {first, std::min(chunk_pages_, pages_[block] - first)}};
}

} // namespace mfd
