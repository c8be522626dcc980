// The cost of an engine itself: 4 KiB reads of a page-cached file, one and several in flight.
#include "channels/io_engine.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

#include <sys/mman.h>

namespace {

void small_reads(benchmark::State& state, mfd::EngineKind kind) {
    constexpr std::size_t kBytes = 4096;
    const mfd::UniqueFd file(::memfd_create("bench", MFD_CLOEXEC));
    const std::vector<std::byte> data(kBytes * 64);
    if (!mfd::write_all_at(file.ref(), data, 0))
        std::abort();
    const auto depth = static_cast<std::size_t>(state.range(0));
    auto engine = mfd::make_engine({kind, {file.ref()}, depth, false});
    if (!engine) {
        state.SkipWithError(engine.error().what.c_str());
        return;
    }
    std::vector<std::byte> memory(kBytes * depth);
    std::vector<iovec> parts(depth);
    std::vector<std::uint64_t> free_tags(depth);
    for (std::size_t tag = 0; tag < depth; ++tag)
        free_tags[tag] = tag;
    for (auto _ : state) {
        if (free_tags.empty() || (*engine)->in_flight() == (*engine)->depth())
            free_tags.push_back((*engine)->reap()->tag);
        const std::uint64_t tag = free_tags.back();
        free_tags.pop_back();
        parts[tag] = {memory.data() + tag * kBytes, kBytes};
        (*engine)->start({mfd::TransferOp::Read, 0, tag * kBytes, {&parts[tag], 1}, tag});
    }
    while ((*engine)->in_flight() > 0)
        benchmark::DoNotOptimize((*engine)->reap());
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(small_reads, pwritev, mfd::EngineKind::Pwritev)->Arg(1);
BENCHMARK_CAPTURE(small_reads, uring, mfd::EngineKind::Uring)->Arg(1)->Arg(8)->Arg(32);

} // namespace
