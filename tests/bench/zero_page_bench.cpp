// How fast memory is tested for zero pages, by kernel and content.
#include "channels/zero_page.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include <sys/mman.h>

namespace {

constexpr std::uint64_t kPages = 64 * 1024; // 256 MiB: far past the caches

std::byte* memory_of(std::byte first) {
    auto* base =
        static_cast<std::byte*>(::mmap(nullptr, kPages * mfd::kPageSize, PROT_READ | PROT_WRITE,
                                       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    for (std::uint64_t page = 0; page < kPages; ++page)
        base[page * mfd::kPageSize] = first;
    return base;
}

void scan_zero(benchmark::State& state, const mfd::ZeroKernel& kernel) {
    static const std::byte* const kMemory = memory_of(std::byte{0});
    for (auto _ : state) {
        std::uint64_t zero = 0;
        for (std::uint64_t page = 0; page < kPages; ++page)
            zero += kernel.is_zero(kMemory + page * mfd::kPageSize) ? 1 : 0;
        if (zero != kPages)
            std::abort();
    }
    state.SetBytesProcessed(
        static_cast<std::int64_t>(state.iterations() * kPages * mfd::kPageSize));
}

void count_data(benchmark::State& state) {
    static const std::byte* const kMemory = memory_of(std::byte{1});
    for (auto _ : state)
        if (mfd::count_data_pages(kMemory, kPages) != kPages)
            std::abort();
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kPages));
}
BENCHMARK(count_data);

const int kRegistered = [] {
    for (const mfd::ZeroKernel& kernel : mfd::zero_kernels())
        benchmark::RegisterBenchmark(
            (std::string("scan_zero/") + kernel.name).c_str(),
            [&kernel](benchmark::State& state) { scan_zero(state, kernel); });
    return 0;
}();

} // namespace
