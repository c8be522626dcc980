// What the checksums of pages take, by kernel and by where the pages are.
#include "proto/checksum.hpp"

#include "proto/checked.hpp"

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include <sys/mman.h>

namespace {

constexpr std::uint64_t kCached = 16;        // 64 KiB
constexpr std::uint64_t kMemory = 64 * 1024; // 256 MiB: far past the caches

const std::byte* pages() {
    static const std::byte* const kPages = [] {
        auto* base = static_cast<std::byte*>(::mmap(nullptr, kMemory * mfd::kPageSize,
                                                    PROT_READ | PROT_WRITE,
                                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        std::memset(base, 0x5a, kMemory * mfd::kPageSize);
        return base;
    }();
    return kPages;
}

void page_checksums(benchmark::State& state, const mfd::ChecksumKernel& kernel) {
    const auto count = static_cast<std::uint64_t>(state.range(0));
    std::vector<std::uint32_t> checksums(count);
    for (auto _ : state) {
        kernel.page_checksums(pages(), count, checksums.data());
        benchmark::DoNotOptimize(checksums.data());
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * count * mfd::kPageSize));
}

const int kRegistered = [] {
    for (const mfd::ChecksumKernel& kernel : mfd::checksum_kernels())
        benchmark::RegisterBenchmark(
            (std::string("page_checksums/") + kernel.name).c_str(),
            [&kernel](benchmark::State& state) { page_checksums(state, kernel); })
            ->Arg(kCached)
            ->Arg(kMemory);
    return 0;
}();

} // namespace
