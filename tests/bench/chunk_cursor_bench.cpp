// What handing out a chunk costs, alone and with neighbours.
#include "channels/chunk_cursor.hpp"

#include <benchmark/benchmark.h>

#include <vector>

namespace {

mfd::ChunkCursor cursor;

void next_chunk(benchmark::State& state) {
    if (state.thread_index() == 0)
        cursor.reset(std::vector<std::uint64_t>(64, std::uint64_t{1} << 50), 2);
    for (auto _ : state)
        benchmark::DoNotOptimize(cursor.next());
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(next_chunk)->Threads(1)->Threads(2)->Threads(8);

} // namespace
