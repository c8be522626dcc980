#include "channels/page_saver.hpp"

#include "channels/chunk_cursor.hpp"
#include "channels/page_workers.hpp"
#include "channels/run_builder.hpp"
#include "channels/transfer_window.hpp"
#include "channels/zero_page.hpp"
#include "proto/checksum.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace mfd {

namespace {

// Written where a page is known to be zero and must not be touched. Several parts of a transfer may
// point here; 64 KiB keep their number low.
alignas(64 * 1024) std::byte zeros[64 * 1024];

// Calls f(run, may hold data) for the parts of `pages` inside and outside of `data`.
template <class F>
Result<void> for_each_extent(const std::optional<std::vector<PageRun>>& data, PageRun pages, F f) {
    if (!data)
        return f(pages, true);
    auto extent = std::ranges::upper_bound(*data, pages.first, {}, &PageRun::end);
    std::uint64_t at = pages.first;
    for (; at < pages.end() && extent != data->end() && extent->first < pages.end(); ++extent) {
        if (extent->first > at) {
            MFD_CHECK(f(PageRun{at, extent->first - at}, false));
            at = extent->first;
        }
        const std::uint64_t last = std::min(extent->end(), pages.end());
        MFD_CHECK(f(PageRun{at, last - at}, true));
        at = last;
    }
    if (at < pages.end())
        return f(PageRun{at, pages.end() - at}, false);
    return {};
}

} // namespace

struct PageSaver::State {
    State(const MigrationFile& migration_file, SaveOptions save_options, Counters& save_counters)
        : file(migration_file), options(std::move(save_options)), counters(save_counters),
          numa(options.numa_folder), page_cache(options.write_back) {}

    ChunkCursor cursor; // first, since it begins with a cache line
    const MigrationFile& file;
    const SaveOptions options;
    Counters& counters;
    const NumaNodes numa;
    PageCacheWriter page_cache;
    std::atomic<int> punch_refusal{0};
    std::span<const SaveBlock> blocks; // of the pass
};

namespace {

RunLimits limits_of(const MigrationFile& file, const SaveOptions& options) {
    RunLimits limits{options.transfer_bytes, options.bridge_bytes, std::nullopt, zeros};
    if (file.direct_fd().valid())
        limits.direct = file.alignment();
    return limits;
}

} // namespace

class PageSaver::SaveWorker final : public Worker {
public:
    SaveWorker(State& state, unsigned index, std::unique_ptr<IoEngine> engine)
        : state_(state), node_(state.numa.node_of_worker(index)),
          counters_(state.counters.channel(index)),
          window_(std::move(engine), counters_, state.options.limiter),
          runs_(window_, TransferOp::Write, limits_of(state.file, state.options)),
          holes_(state.file.buffered_fd(), state.options.punch_hole, state.options.punch_percent,
                 state.punch_refusal) {}

    Result<void> run_pass(const std::stop_token& stop) override {
        holes_.begin_pass();
        auto result = save_chunks(stop);
        // Whatever happened: nothing may be in flight when the pass is over. A failed write is what
        // others should hear of, not that it made this worker stop.
        auto drained = window_.drain();
        if (result.has_value() && drained.has_value())
            holes_.punch_collected();
        return drained ? std::move(result) : std::move(drained);
    }

private:
    Result<void> save_chunks(const std::stop_token& stop) {
        while (const auto chunk = state_.cursor.next(node_)) {
            if (stop.stop_requested())
                return Error{Errc::Cancelled, "stopped on request"};
            MFD_CHECK(save_chunk(state_.blocks[chunk->block], chunk->pages, stop));
        }
        return {};
    }

    Result<void> save_chunk(const SaveBlock& block, PageRun pages, const std::stop_token& stop) {
        // Writing never changes what is written; the parts of a transfer have no const form.
        runs_.set_target({{&block.name, block.pages_offset}, const_cast<std::byte*>(block.base)});
        if (block.dirty == nullptr) {
            MFD_CHECK(save_dirty(block, pages, stop));
            return runs_.flush(stop);
        }
        std::uint64_t at = pages.first;
        while (const auto run = block.dirty->next_set_run(at, pages.end())) {
            // Clean pages may go along, as long as they may be touched. What they hold is either in
            // the file already or has been written to since, and then comes in the next pass.
            if (run->first > at)
                MFD_CHECK(offer_clean(block, {at, run->first - at}, stop));
            MFD_CHECK(save_dirty(block, *run, stop));
            at = run->end();
        }
        return runs_.flush(stop);
    }

    // Only what has a slot already: a hole of the file stays one, and one of the guest untouched.
    Result<void> offer_clean(const SaveBlock& block, PageRun pages, const std::stop_token& stop) {
        const auto stored = block.present->next_set_run(pages.first, pages.end());
        return stored == pages ? runs_.offer(pages, PageSource::Guest, stop) : runs_.flush(stop);
    }

    Result<void> save_dirty(const SaveBlock& block, PageRun pages, const std::stop_token& stop) {
        return for_each_extent(block.data, pages, [&](PageRun run, bool may_hold_data) {
            if (state_.options.zero_page_detection == ZeroPageDetection::None)
                return store(block, run, may_hold_data ? PageSource::Guest : PageSource::StandIn,
                             stop);
            return may_hold_data ? save_scanned(block, run, stop)
                                 : leave_out(block, run, PageSource::StandIn, stop);
        });
    }

    // How far to look at once: no further than a transfer, so that it starts as soon as it is
    // complete.
    [[nodiscard]] std::uint64_t step_pages() const {
        return std::max<std::uint64_t>(state_.options.transfer_bytes / kPageSize, 1);
    }

    Result<void> save_scanned(const SaveBlock& block, PageRun pages, const std::stop_token& stop) {
        for (std::uint64_t at = pages.first; at < pages.end();) {
            const std::uint64_t count = std::min(pages.end() - at, step_pages());
            const std::byte* memory = block.base + at * kPageSize;
            const std::uint64_t zero = count_zero_pages(memory, count);
            if (zero != 0)
                MFD_CHECK(leave_out(block, {at, zero}, PageSource::Guest, stop));
            const std::uint64_t data = count_data_pages(memory + zero * kPageSize, count - zero);
            if (data != 0)
                MFD_CHECK(store(block, {at + zero, data}, PageSource::Guest, stop));
            at += zero + data;
            if (stop.stop_requested())
                return Error{Errc::Cancelled, "stopped on request"};
        }
        return {};
    }

    Result<void> store(const SaveBlock& block, PageRun run, PageSource source,
                       const std::stop_token& stop) {
        block.present->set_range(run);
        bump(counters_.normal_pages, run.count);
        if (block.checksums == nullptr)
            return runs_.add(run, source, stop);
        // A page that is written to after this is dirty, and gets another checksum in the next
        // pass. Clean pages that go along keep theirs: what is in them that it does not know of
        // comes then, too.
        for (std::uint64_t at = run.first; at < run.end(); at += step_pages()) {
            const PageRun part{at, std::min(run.end() - at, step_pages())};
            if (source == PageSource::Guest)
                page_checksums(block.base + part.first * kPageSize, part.count,
                               block.checksums + part.first);
            else
                std::fill_n(block.checksums + part.first, part.count, zero_page_checksum());
            MFD_CHECK(runs_.add(part, source, stop));
        }
        return {};
    }

    Result<void> leave_out(const SaveBlock& block, PageRun run, PageSource source,
                           const std::stop_token& stop) {
        // In the first pass no page has a slot yet, and there are many runs to ask about.
        const bool punching = block.dirty != nullptr && holes_.enabled();
        const bool had_slot =
            punching && block.present->next_set_run(run.first, run.end()).has_value();
        block.present->clear_range(run);
        bump(counters_.duplicate_pages, run.count);
        if (!punching)
            return runs_.offer(run, source, stop);
        MFD_CHECK(runs_.flush(stop));
        if (had_slot)
            holes_.add(block.pages_offset + run.first * kPageSize, run.count * kPageSize);
        if (!holes_.full())
            return {};
        MFD_CHECK(window_.drain());
        holes_.punch_collected();
        return {};
    }

    State& state_;
    const std::size_t node_;
    ChannelCounters& counters_;
    TransferWindow window_;
    RunBuilder runs_;
    HolePuncher holes_; // of this pass, none of them with a write in flight when they are punched
};

PageSaver::PageSaver(std::unique_ptr<State> state) : state_(std::move(state)) {}
PageSaver::~PageSaver() = default;

Result<std::unique_ptr<PageSaver>> PageSaver::start(const MigrationFile& file, SaveOptions options,
                                                    Counters& counters) {
    std::unique_ptr<PageSaver> saver(
        new PageSaver(std::make_unique<State>(file, std::move(options), counters)));
    MFD_TRY(saver->pool_,
            start_page_workers<SaveWorker>(*saver->state_, &saver->state_->page_cache));
    return saver;
}

Result<void> PageSaver::pass(std::span<const SaveBlock> blocks, const std::stop_token& stop) {
    const auto memory_of = [blocks](const ChunkCursor::Chunk& chunk) -> const std::byte* {
        const SaveBlock& block = blocks[chunk.block];
        // The last pass is a short one, and the guest waits for it: only what there is to do.
        if (block.dirty != nullptr &&
            !block.dirty->next_set_run(chunk.pages.first, chunk.pages.end()))
            return nullptr;
        return block.base + chunk.pages.first * kPageSize;
    };
    MFD_CHECK(hand_out_chunks(*state_, blocks, memory_of));
    return pool_->run_pass(stop);
}

int PageSaver::punch_refusal() const {
    return state_->punch_refusal;
}

std::vector<ThreadInfo> PageSaver::threads() const {
    return pool_->threads();
}

} // namespace mfd
