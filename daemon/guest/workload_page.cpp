#include "daemon/guest/workload_page.hpp"

#include <bit>
#include <cstring>

namespace mfd {

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kWords = 512;
constexpr std::size_t kChecksumWord = 4;
constexpr std::size_t kHeaderWords = 5;

// The finalizer of splitmix64: every bit of the input changes about half of the output's.
constexpr std::uint64_t mixed(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

constexpr std::uint64_t filling_base(const WorkloadPage& content) {
    return mixed(content.seed + mixed(content.page + mixed(content.generation)));
}

constexpr std::uint64_t filling_word(std::uint64_t base, std::size_t index) {
    const std::uint64_t x = base + index * 0x9e3779b97f4a7c15;
    return (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
}

constexpr std::uint64_t add_to_checksum(std::uint64_t sum, std::uint64_t word) {
    return std::rotl(sum, 5) ^ word;
}

// What a page with this content looks like, word by word; the checksum is known at the end.
template <class Store>
constexpr void each_word(const WorkloadPage& content, Store store) {
    std::uint64_t sum = 0;
    const auto put = [&sum, &store](std::size_t index, std::uint64_t word) {
        sum = add_to_checksum(sum, word);
        store(index, word);
    };
    put(0, kWorkloadPageMagic);
    put(1, content.page);
    put(2, content.generation);
    put(3, content.seed);
    const std::uint64_t base = filling_base(content);
    for (std::size_t i = kHeaderWords; i < kWords; ++i)
        put(i, filling_word(base, i));
    store(kChecksumWord, sum);
}

// A save reads guest memory while the guest writes it; what it read too early is written again
// after the next look at the dirty pages. So this race is meant, and the thread sanitizer must not
// see it.
__attribute__((no_sanitize("thread"))) void store_words(volatile std::uint64_t* to,
                                                        const std::uint64_t* from) {
    for (std::size_t i = 0; i < kWords; ++i)
        to[i] = from[i];
}

std::uint64_t word_at(std::span<const std::byte> page, std::size_t index) {
    std::uint64_t word = 0;
    std::memcpy(&word, page.data() + index * sizeof(word), sizeof(word));
    return word;
}

} // namespace

void fill_page(std::span<std::byte> page, const WorkloadPage& content) {
    std::uint64_t words[kWords];
    each_word(content, [&words](std::size_t i, std::uint64_t word) { words[i] = word; });
    store_words(reinterpret_cast<std::uint64_t*>(page.data()), words);
}

void zero_page(std::span<std::byte> page) {
    static constexpr std::uint64_t zeros[kWords] = {};
    store_words(reinterpret_cast<std::uint64_t*>(page.data()), zeros);
}

PageVerdict verify_page(std::span<const std::byte> page, std::uint64_t page_number) {
    PageVerdict verdict;
    if (page.size() != kWords * sizeof(std::uint64_t))
        return verdict;
    std::uint64_t any = 0;
    for (std::size_t i = 0; i < kWords; ++i)
        any |= word_at(page, i);
    if (any == 0) {
        verdict.state = PageState::Zero;
        return verdict;
    }
    const WorkloadPage content{word_at(page, 1), word_at(page, 2), word_at(page, 3)};
    bool whole = content.page == page_number;
    each_word(content, [&](std::size_t i, std::uint64_t word) {
        whole = whole && word_at(page, i) == word;
    });
    if (whole) {
        verdict.state = PageState::Whole;
        verdict.content = content;
    }
    return verdict;
}

} // namespace mfd
