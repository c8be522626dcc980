#include "channels/zero_page.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// A live guest writes while its pages are read. That is by design: such a page is dirty and will be
// read again. The thread sanitizer cannot know.
#if defined(__clang__)
#define MFD_RACY_READ __attribute__((no_sanitize("thread")))
#else
#define MFD_RACY_READ __attribute__((no_sanitize_thread))
#endif

namespace mfd {

namespace {

// Each kernel looks at the first cache line alone, where almost every page of data already differs
// from zero, and then goes on in steps large enough that the loop costs nothing beside the memory.
constexpr std::size_t kLine = 64;

MFD_RACY_READ bool is_zero_portable(const std::byte* page) {
    for (std::size_t at = 0; at < kPageSize; at += kLine) {
        std::array<std::uint64_t, kLine / sizeof(std::uint64_t)> line{};
        std::memcpy(line.data(), page + at, sizeof line);
        std::uint64_t any = 0;
        for (const std::uint64_t word : line)
            any |= word;
        if (any != 0)
            return false;
    }
    return true;
}

#if defined(__x86_64__)

MFD_RACY_READ bool is_zero_sse2(const std::byte* page) {
    const auto* at = reinterpret_cast<const __m128i*>(page);
    const auto* end = reinterpret_cast<const __m128i*>(page + kPageSize);
    for (; at != end; at += 8) { // two cache lines
        const __m128i a = _mm_or_si128(_mm_or_si128(at[0], at[1]), _mm_or_si128(at[2], at[3]));
        const __m128i b = _mm_or_si128(_mm_or_si128(at[4], at[5]), _mm_or_si128(at[6], at[7]));
        const __m128i equal = _mm_cmpeq_epi8(_mm_or_si128(a, b), _mm_setzero_si128());
        if (_mm_movemask_epi8(equal) != 0xffff)
            return false;
    }
    return true;
}

__attribute__((target("avx2"))) MFD_RACY_READ bool is_zero_avx2(const std::byte* page) {
    const auto* at = reinterpret_cast<const __m256i*>(page);
    const auto* end = reinterpret_cast<const __m256i*>(page + kPageSize);
    const __m256i first = _mm256_or_si256(at[0], at[1]);
    if (_mm256_testz_si256(first, first) == 0)
        return false;
    for (; at != end; at += 8) { // four cache lines
        const __m256i a =
            _mm256_or_si256(_mm256_or_si256(at[0], at[1]), _mm256_or_si256(at[2], at[3]));
        const __m256i b =
            _mm256_or_si256(_mm256_or_si256(at[4], at[5]), _mm256_or_si256(at[6], at[7]));
        const __m256i any = _mm256_or_si256(a, b);
        if (_mm256_testz_si256(any, any) == 0)
            return false;
    }
    return true;
}

__attribute__((target("avx512f"))) MFD_RACY_READ bool is_zero_avx512(const std::byte* page) {
    const auto* at = reinterpret_cast<const __m512i*>(page);
    const auto* end = reinterpret_cast<const __m512i*>(page + kPageSize);
    if (_mm512_test_epi64_mask(at[0], at[0]) != 0)
        return false;
    for (; at != end; at += 4) {
        const __m512i any =
            _mm512_or_si512(_mm512_or_si512(at[0], at[1]), _mm512_or_si512(at[2], at[3]));
        if (_mm512_test_epi64_mask(any, any) != 0)
            return false;
    }
    return true;
}

#endif

std::vector<ZeroKernel> find_kernels() {
    std::vector<ZeroKernel> kernels;
#if defined(__x86_64__)
    __builtin_cpu_init();
    // AVX2 before AVX-512: measured no slower, and no license-based clock drop on older processors.
    if (__builtin_cpu_supports("avx2"))
        kernels.push_back({"avx2", is_zero_avx2});
    if (__builtin_cpu_supports("avx512f"))
        kernels.push_back({"avx512", is_zero_avx512});
    kernels.push_back({"sse2", is_zero_sse2});
#endif
    kernels.push_back({"portable", is_zero_portable});
    return kernels;
}

const std::vector<ZeroKernel>& all_kernels() {
    static const std::vector<ZeroKernel> kernels = find_kernels();
    return kernels;
}

} // namespace

std::span<const ZeroKernel> zero_kernels() {
    return all_kernels();
}

bool is_zero_page(const std::byte* page) {
    return all_kernels().front().is_zero(page);
}

std::uint64_t count_zero_pages(const std::byte* pages, std::uint64_t count) {
    const auto is_zero = all_kernels().front().is_zero;
    std::uint64_t zero = 0;
    while (zero < count && is_zero(pages + zero * kPageSize))
        ++zero;
    return zero;
}

std::uint64_t count_data_pages(const std::byte* pages, std::uint64_t count) {
    // A page of data costs one cache miss, and the hardware does not guess a stride of a page.
    // Asking for the lines ahead lets the misses overlap.
    constexpr std::uint64_t kAhead = 8;
    const auto is_zero = all_kernels().front().is_zero;
    std::uint64_t data = 0;
    for (; data < count; ++data) {
        const std::byte* page = pages + data * kPageSize;
        if (data + kAhead < count)
            __builtin_prefetch(page + kAhead * kPageSize);
        if (is_zero(page))
            break;
    }
    return data;
}

} // namespace mfd
