// What PageSaver and PageLoader have in common: workers near the memory they take, each with an
// engine on the migration file, and the chunks that a pass hands out to them. `State` is either's.
#pragma once

#include "channels/chunk_cursor.hpp"
#include "channels/io_engine.hpp"
#include "channels/numa.hpp"
#include "channels/worker_pool.hpp"
#include "proto/checked.hpp"
#include "proto/error.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace mfd {

// A `PageWorker` is made of the state, its number and its engine. `page_cache` as in EngineSetup.
template <class PageWorker, class State>
Result<std::unique_ptr<WorkerPool>> start_page_workers(State& state,
                                                       PageCacheWriter* page_cache = nullptr) {
    const auto make_worker = [&](unsigned index) -> Result<std::unique_ptr<Worker>> {
        state.numa.bind_worker(index); // first: what the worker allocates is then near it, too
        const EngineSetup setup{state.options.engine,
                                {state.file.buffered_fd(), state.file.direct_fd()},
                                std::max<std::size_t>(state.options.depth, 1),
                                state.file.direct_fd().valid(),
                                page_cache};
        MFD_TRY(auto engine, state.options.make_engine(setup));
        return std::unique_ptr<Worker>(
            std::make_unique<PageWorker>(state, index, std::move(engine)));
    };
    return WorkerPool::start(state.options.channels, state.options.thread_prefix, make_worker);
}

// Before each pass, while no worker is in one. `memory_of` as NumaNodes::place_chunks() asks.
template <class State, class Block>
Result<void> hand_out_chunks(State& state, std::span<const Block> blocks,
                             const MemoryOfChunk& memory_of) {
    std::vector<std::uint64_t> block_pages;
    for (const Block& block : blocks) {
        MFD_CHECK(check_slots(block.name, block.length_bytes, block.pages_offset,
                              block.present->pages()));
        block_pages.push_back(block.length_bytes / kPageSize);
    }
    state.blocks = blocks;
    state.cursor.reset(block_pages, state.options.channels);
    state.numa.place_chunks(state.cursor, memory_of);
    return {};
}

} // namespace mfd
