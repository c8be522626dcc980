// Which pages of a RAM block are meant: one bit per page, in the words that stand in the file.
// No locks: two threads may work on one bitmap if their pages never share a cache line, that is, if
// each keeps to its own multiples of kPagesPerCacheLine.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace mfd {

static_assert(std::endian::native == std::endian::little,
              "the bitmap in the file is in the writing host's words; only little-endian is known");

// A run of consecutive pages.
struct PageRun {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    [[nodiscard]] constexpr std::uint64_t end() const { return first + count; }
    constexpr bool operator==(const PageRun&) const = default;
};

class PageBitmap {
public:
    static constexpr std::uint64_t kPagesPerWord = 64;
    static constexpr std::uint64_t kPagesPerCacheLine = 512;

    PageBitmap() = default;
    // All clear, and without memory of its own where no bit has ever been set: the bitmap of a
    // large guest that uses little is small. Throws std::bad_alloc: callers bound `pages` by a
    // file's or a block's size first.
    explicit PageBitmap(std::uint64_t pages);

    [[nodiscard]] std::uint64_t pages() const { return pages_; }
    [[nodiscard]] bool test(std::uint64_t page) const;
    void set(std::uint64_t page);
    void clear(std::uint64_t page);
    void set_range(PageRun run);
    void clear_range(PageRun run);
    [[nodiscard]] std::uint64_t count() const;
    [[nodiscard]] std::uint64_t count_range(PageRun run) const;

    // Of how many runs the set pages consist.
    [[nodiscard]] std::uint64_t count_runs() const;

    // First run of set (clear) pages that begins at or after `from` and ends at or before `to`;
    // nothing when there is none.
    [[nodiscard]] std::optional<PageRun> next_set_run(std::uint64_t from, std::uint64_t to) const;
    [[nodiscard]] std::optional<PageRun> next_clear_run(std::uint64_t from, std::uint64_t to) const;

    // The words as bytes, as they stand in the file: 8 * ceil(pages / 64) bytes.
    [[nodiscard]] std::span<const std::byte> bytes() const;
    [[nodiscard]] std::span<std::byte> mutable_bytes();
    [[nodiscard]] std::span<std::uint64_t> words();
    [[nodiscard]] std::span<const std::uint64_t> words() const;

    // Is a bit set at or past pages()? (Bytes read from a file may say so.)
    [[nodiscard]] bool has_stray_bits() const;

private:
    struct FreeMemory {
        void operator()(std::byte* memory) const;
    };
    [[nodiscard]] std::uint64_t find(std::uint64_t from, std::uint64_t to, bool value) const;

    std::uint64_t pages_ = 0;
    std::unique_ptr<std::byte[], FreeMemory> memory_;
    std::uint64_t* words_ = nullptr; // in memory_, aligned to a cache line
};

// Bytes of the bitmap of `pages` pages, as in the file.
[[nodiscard]] constexpr std::uint64_t bitmap_bytes(std::uint64_t pages) {
    return (pages / 64 + (pages % 64 != 0 ? 1 : 0)) * 8;
}

} // namespace mfd
