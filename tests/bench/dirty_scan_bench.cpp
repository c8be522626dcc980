// What one look at the dirty pages costs (per_gib: for each GiB of memory): of a guest that wrote
// nothing since the last one ("clean"), and of one that wrote every hundredth page. The argument is
// the guest's size in MiB.
#include "daemon/guest/dirty_tracker.hpp"
#include "proto/checked.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

namespace {

mfd::Result<std::unique_ptr<mfd::MemoryBackend>> make_memory(const std::string& option) {
    MFD_TRY(const auto list, mfd::parse_keyval(option, "qom-type"));
    MFD_TRY(auto properties, mfd::backend_properties_from_keyval(list));
    return mfd::MemoryBackend::make(std::move(properties), {});
}

// Every `step`th page, from the first.
void write_pages(const mfd::MemoryBackend& memory, std::uint64_t step) {
    for (std::uint64_t at = 0; at < memory.size(); at += step * mfd::kPageSize)
        memory.memory()[at] ^= std::byte{1};
}

mfd::Result<std::unique_ptr<mfd::DirtyTracker>> start_tracker(mfd::MemoryBackend& memory) {
    mfd::MemoryBackend* const blocks[] = {&memory};
    MFD_TRY(auto tracker, mfd::make_dirty_tracker(blocks));
    MFD_CHECK(tracker->start());
    return tracker;
}

// `step`: which pages are written between two looks; 0: none.
void dirty_scan(benchmark::State& state, const char* backend, std::uint64_t step) {
    const std::string option =
        std::string(backend) + ",id=r,size=" + std::to_string(state.range(0)) + "M";
    const auto memory = make_memory(option);
    if (!memory) {
        state.SkipWithError(memory.error().what.c_str());
        return;
    }
    write_pages(**memory, 1);
    const auto tracker = start_tracker(**memory);
    if (!tracker) {
        state.SkipWithError(tracker.error().what.c_str());
        return;
    }
    mfd::PageBitmap dirty((*memory)->size() / mfd::kPageSize);
    for (auto _ : state) {
        if (step != 0) {
            state.PauseTiming();
            write_pages(**memory, step);
            state.ResumeTiming();
        }
        if (!(*tracker)->collect(**memory, dirty))
            std::abort();
    }
    const double gib = static_cast<double>(state.range(0)) / 1024;
    state.counters["per_gib"] =
        benchmark::Counter(gib * static_cast<double>(state.iterations()),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

#define MFD_SCAN(name, backend)                                                                    \
    BENCHMARK_CAPTURE(dirty_scan, name##_clean, backend, 0)                                        \
        ->Arg(64)                                                                                  \
        ->Arg(1024)                                                                                \
        ->Unit(benchmark::kMillisecond);                                                           \
    BENCHMARK_CAPTURE(dirty_scan, name##_hundredth, backend, 100)                                  \
        ->Arg(64)                                                                                  \
        ->Arg(1024)                                                                                \
        ->Unit(benchmark::kMillisecond)

MFD_SCAN(private, "memory-backend-ram");
MFD_SCAN(memfd, "memory-backend-memfd,share=on");
MFD_SCAN(hugetlb, "memory-backend-memfd,share=on,hugetlb=on");

} // namespace
