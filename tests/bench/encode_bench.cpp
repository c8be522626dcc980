// What the header stream costs to encode: its head by the number of blocks, and its tail.
#include "proto/device_state.hpp"
#include "proto/encode.hpp"
#include "proto/plan.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace {

mfd::StreamPlan plan_of(std::int64_t blocks) {
    std::vector<mfd::BlockSpec> specs;
    for (std::int64_t i = 0; i < blocks; ++i)
        specs.push_back({"/objects/mem" + std::to_string(i), std::uint64_t{1} << 30});
    auto plan = mfd::plan_stream(mfd::FileOffset(0), {}, specs);
    if (!plan)
        std::abort();
    return std::move(*plan);
}

void encode_head(benchmark::State& state) {
    const auto plan = plan_of(state.range(0));
    for (auto _ : state)
        benchmark::DoNotOptimize(mfd::encode_head(plan));
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(encode_head)->Arg(1)->Arg(64);

void encode_tail(benchmark::State& state) {
    const auto plan = plan_of(1);
    mfd::Tail tail;
    auto device = mfd::make_globalstate(3, "paused");
    if (!device)
        std::abort();
    tail.devices.push_back(std::move(*device));
    tail.vmdescription = mfd::make_vmdescription(plan.configuration);
    for (auto _ : state)
        benchmark::DoNotOptimize(mfd::encode_tail(plan.head_end, tail));
}
BENCHMARK(encode_tail);

} // namespace
