// Walking the runs of a bitmap, by density.
#include "proto/page_bitmap.hpp"

#include <benchmark/benchmark.h>

#include <random>

namespace {

void walk_runs(benchmark::State& state) {
    constexpr std::uint64_t kPages = 1 << 20;
    const auto permille = static_cast<std::uint64_t>(state.range(0));
    mfd::PageBitmap bitmap(kPages);
    std::mt19937_64 random(1);
    for (std::uint64_t page = 0; page < kPages; ++page)
        if (random() % 1000 < permille)
            bitmap.set(page);
    for (auto _ : state) {
        std::uint64_t total = 0;
        for (auto run = bitmap.next_set_run(0, kPages); run;
             run = bitmap.next_set_run(run->end(), kPages))
            total += run->count;
        benchmark::DoNotOptimize(total);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kPages));
}
BENCHMARK(walk_runs)->Arg(0)->Arg(1)->Arg(100)->Arg(500)->Arg(1000);

void set_ranges(benchmark::State& state) {
    constexpr std::uint64_t kPages = 1 << 20;
    const auto count = static_cast<std::uint64_t>(state.range(0));
    mfd::PageBitmap bitmap(kPages);
    for (auto _ : state)
        for (std::uint64_t page = 0; page + count <= kPages; page += count)
            bitmap.set_range({page, count});
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kPages));
}
BENCHMARK(set_ranges)->Arg(1)->Arg(16)->Arg(256);

} // namespace
