#include "proto/page_bitmap.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace mfd {

namespace {

constexpr std::size_t kCacheLine = 64;

// Bits [from, to) of one word; to is 1..64.
constexpr std::uint64_t word_mask(std::uint64_t from, std::uint64_t to) {
    const std::uint64_t upper = to == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << to) - 1;
    return upper & ~((std::uint64_t{1} << from) - 1);
}

// Calls f(word index, mask) for every word that `run` touches.
template <class F>
void for_each_word(PageRun run, F f) {
    for (std::uint64_t page = run.first; page < run.end();) {
        const std::uint64_t word = page / PageBitmap::kPagesPerWord;
        const std::uint64_t word_start = word * PageBitmap::kPagesPerWord;
        const std::uint64_t to = std::min(run.end() - word_start, PageBitmap::kPagesPerWord);
        f(word, word_mask(page - word_start, to));
        page = word_start + to;
    }
}

} // namespace

void PageBitmap::FreeMemory::operator()(std::byte* memory) const {
    std::free(memory);
}

// calloc() alone gives zeros that nobody has to write; it knows no alignment, hence the line more.
PageBitmap::PageBitmap(std::uint64_t pages)
    : pages_(pages),
      memory_(static_cast<std::byte*>(std::calloc(bitmap_bytes(pages) + kCacheLine, 1))) {
    if (memory_ == nullptr)
        throw std::bad_alloc();
    const auto past_line = reinterpret_cast<std::uintptr_t>(memory_.get()) % kCacheLine;
    words_ = reinterpret_cast<std::uint64_t*>(memory_.get() + (kCacheLine - past_line));
}

bool PageBitmap::test(std::uint64_t page) const {
    return (words_[page / kPagesPerWord] >> (page % kPagesPerWord) & 1) != 0;
}

void PageBitmap::set(std::uint64_t page) {
    words_[page / kPagesPerWord] |= std::uint64_t{1} << (page % kPagesPerWord);
}

void PageBitmap::clear(std::uint64_t page) {
    words_[page / kPagesPerWord] &= ~(std::uint64_t{1} << (page % kPagesPerWord));
}

void PageBitmap::set_range(PageRun run) {
    for_each_word(run, [this](std::uint64_t word, std::uint64_t mask) { words_[word] |= mask; });
}

void PageBitmap::clear_range(PageRun run) {
    for_each_word(run, [this](std::uint64_t word, std::uint64_t mask) {
        if ((words_[word] & mask) != 0) // words that are only read need no memory
            words_[word] &= ~mask;
    });
}

std::uint64_t PageBitmap::count() const {
    return count_range({0, pages_});
}

std::uint64_t PageBitmap::count_range(PageRun run) const {
    std::uint64_t total = 0;
    for_each_word(run, [&](std::uint64_t word, std::uint64_t mask) {
        total += static_cast<std::uint64_t>(std::popcount(words_[word] & mask));
    });
    return total;
}

std::uint64_t PageBitmap::count_runs() const {
    std::uint64_t total = 0;
    std::uint64_t before = 0; // the last page of the previous word, in bit 0
    for (const std::uint64_t word : words()) {
        const std::uint64_t begins = word & ~(word << 1 | before);
        total += static_cast<std::uint64_t>(std::popcount(begins));
        before = word >> (kPagesPerWord - 1);
    }
    return total;
}

// First page in [from, to) whose bit is `value`; `to` when there is none.
std::uint64_t PageBitmap::find(std::uint64_t from, std::uint64_t to, bool value) const {
    for (std::uint64_t page = from; page < to;) {
        const std::uint64_t word = page / kPagesPerWord;
        const std::uint64_t bits =
            (value ? words_[word] : ~words_[word]) & word_mask(page % kPagesPerWord, 64);
        const std::uint64_t word_start = word * kPagesPerWord;
        if (bits != 0)
            return std::min(word_start + static_cast<std::uint64_t>(std::countr_zero(bits)), to);
        page = word_start + kPagesPerWord;
    }
    return to;
}

std::optional<PageRun> PageBitmap::next_set_run(std::uint64_t from, std::uint64_t to) const {
    const std::uint64_t first = find(from, to, true);
    if (first >= to)
        return std::nullopt;
    return PageRun{first, find(first, to, false) - first};
}

std::optional<PageRun> PageBitmap::next_clear_run(std::uint64_t from, std::uint64_t to) const {
    const std::uint64_t first = find(from, to, false);
    if (first >= to)
        return std::nullopt;
    return PageRun{first, find(first, to, true) - first};
}

std::span<const std::byte> PageBitmap::bytes() const {
    return std::as_bytes(words());
}

std::span<std::byte> PageBitmap::mutable_bytes() {
    return std::as_writable_bytes(words());
}

std::span<std::uint64_t> PageBitmap::words() {
    return {words_, bitmap_bytes(pages_) / sizeof(std::uint64_t)};
}

std::span<const std::uint64_t> PageBitmap::words() const {
    return {words_, bitmap_bytes(pages_) / sizeof(std::uint64_t)};
}

bool PageBitmap::has_stray_bits() const {
    const std::uint64_t used = pages_ % kPagesPerWord;
    return used != 0 && (words_[pages_ / kPagesPerWord] & ~word_mask(0, used)) != 0;
}

} // namespace mfd
