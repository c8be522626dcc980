#include "channels/page_loader.hpp"

#include "channels/checksum_reader.hpp"
#include "channels/chunk_cursor.hpp"
#include "channels/page_workers.hpp"
#include "channels/run_builder.hpp"
#include "channels/transfer_window.hpp"
#include "channels/zero_page.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include <sys/mman.h>

namespace mfd {

namespace {

// Where the bytes of bridged gaps are dropped: one per worker, so that reads in flight do not pull
// one cache line between processors.
constexpr std::size_t kScratchBytes = std::size_t{64} << 10;

struct FreeScratch {
    void operator()(std::byte* bytes) const {
        ::operator delete[](bytes, std::align_val_t{kScratchBytes});
    }
};

// Gives memory its pages at once instead of one fault after the other inside the read: measured, a
// fifth of the time and of the CPU time of a restore from the page cache. Advice, which older
// kernels do not know; where there is no memory, the read itself will say so.
void populate(std::byte* base, PageRun run) {
    constexpr std::uint64_t least_pages = 4; // below that the call costs what it saves
    if (run.count >= least_pages)
        static_cast<void>(
            ::madvise(base + run.first * kPageSize, run.count * kPageSize, MADV_POPULATE_WRITE));
}

// Memory that is zero stays untouched: it may be a hole, and writing would allocate it.
void overwrite_with_zeros(std::byte* base, PageRun run) {
    std::byte* page = base + run.first * kPageSize;
    for (const std::byte* end = page + run.count * kPageSize; page != end; page += kPageSize)
        if (!is_zero_page(page))
            std::memset(page, 0, kPageSize);
}

} // namespace

struct PageLoader::State {
    State(const MigrationFile& migration_file, LoadOptions load_options, Counters& load_counters)
        : file(migration_file), options(std::move(load_options)), counters(load_counters),
          numa(options.numa_folder) {}

    ChunkCursor cursor; // first, since it begins with a cache line
    const MigrationFile& file;
    const LoadOptions options;
    Counters& counters;
    const NumaNodes numa;
    std::span<const LoadBlock> blocks;
};

class PageLoader::LoadWorker final : public Worker {
public:
    LoadWorker(State& state, unsigned index, std::unique_ptr<IoEngine> engine)
        : state_(state), node_(state.numa.node_of_worker(index)),
          counters_(state.counters.channel(index)), checksums_(state.file.buffered_fd()),
          scratch_(new (std::align_val_t{kScratchBytes}) std::byte[kScratchBytes]),
          window_(std::move(engine), counters_, state.options.limiter,
                  [this](const TransferBlock& block, std::uint64_t offset, std::uint64_t bytes) {
                      return check_pages(state_.blocks[block.index], offset, bytes);
                  }),
          runs_(window_, TransferOp::Read, limits()) {}

    Result<void> run_pass(const std::stop_token& stop) override {
        auto result = load_chunks(stop);
        auto drained = window_.drain(); // the kernel writes to guest memory until then
        return drained ? std::move(result) : std::move(drained);
    }

private:
    [[nodiscard]] RunLimits limits() const {
        RunLimits limits{state_.options.transfer_bytes,
                         state_.options.bridge_bytes,
                         std::nullopt,
                         {scratch_.get(), kScratchBytes}};
        if (state_.file.direct_fd().valid())
            limits.direct = state_.file.alignment();
        return limits;
    }

    Result<void> load_chunks(const std::stop_token& stop) {
        while (const auto chunk = state_.cursor.next(node_)) {
            if (stop.stop_requested())
                return Error{Errc::Cancelled, "stopped on request"};
            MFD_CHECK(load_chunk(chunk->block, chunk->pages, stop));
        }
        return {};
    }

    // Reads are started run by run; the clear pages between are dealt with while those are in
    // flight. They are other pages, so neither has to wait.
    Result<void> load_chunk(std::size_t index, PageRun pages, const std::stop_token& stop) {
        const LoadBlock& block = state_.blocks[index];
        runs_.set_target({{&block.name, block.pages_offset, index}, block.base});
        for (std::uint64_t at = pages.first; at < pages.end();) {
            const auto run = block.present->next_set_run(at, pages.end());
            const PageRun gap{at, (run ? run->first : pages.end()) - at};
            if (gap.count != 0) {
                MFD_CHECK(runs_.offer(gap, PageSource::StandIn, stop));
                MFD_CHECK(make_zero(block, gap));
            }
            if (run)
                MFD_CHECK(read_run(block, *run, stop));
            if (stop.stop_requested())
                return Error{Errc::Cancelled, "stopped on request"};
            at = gap.end() + (run ? run->count : 0);
        }
        return runs_.flush(stop);
    }

    Result<void> read_run(const LoadBlock& block, PageRun run, const std::stop_token& stop) {
        const std::uint64_t step =
            std::max<std::uint64_t>(state_.options.transfer_bytes / kPageSize, 1);
        for (std::uint64_t at = run.first; at < run.end(); at += step) {
            const PageRun part{at, std::min(step, run.end() - at)};
            populate(block.base, part);
            MFD_CHECK(runs_.add(part, PageSource::Guest, stop));
            bump(counters_.normal_pages, part.count);
        }
        return {};
    }

    Result<void> make_zero(const LoadBlock& block, PageRun gap) {
        bump(counters_.duplicate_pages, gap.count);
        if (block.zero)
            return block.zero(gap);
        overwrite_with_zeros(block.base, gap);
        return {};
    }

    // Of what a transfer read: the pages that went into the block's memory. Those between were
    // dropped.
    Result<void> check_pages(const LoadBlock& block, std::uint64_t offset, std::uint64_t bytes) {
        if (!block.checksums_offset)
            return {};
        const ChecksumReader::Block checked{block.name, block.present->pages(), block.pages_offset,
                                            *block.checksums_offset};
        std::uint64_t at = (offset - block.pages_offset) / kPageSize;
        const std::uint64_t end = at + bytes / kPageSize;
        while (const auto run = block.present->next_set_run(at, end)) {
            MFD_CHECK(checksums_.check(checked, *run, block.base + run->first * kPageSize));
            at = run->end();
        }
        return {};
    }

    State& state_;
    const std::size_t node_;
    ChannelCounters& counters_;
    ChecksumReader checksums_;
    const std::unique_ptr<std::byte[], FreeScratch> scratch_; // outlives the window's transfers
    TransferWindow window_;
    RunBuilder runs_;
};

PageLoader::PageLoader(std::unique_ptr<State> state) : state_(std::move(state)) {}
PageLoader::~PageLoader() = default;

Result<std::unique_ptr<PageLoader>> PageLoader::start(const MigrationFile& file,
                                                      LoadOptions options, Counters& counters) {
    std::unique_ptr<PageLoader> loader(
        new PageLoader(std::make_unique<State>(file, std::move(options), counters)));
    MFD_TRY(loader->pool_, start_page_workers<LoadWorker>(*loader->state_));
    return loader;
}

Result<void> PageLoader::load(std::span<const LoadBlock> blocks, const std::stop_token& stop) {
    const auto memory_of = [blocks](const ChunkCursor::Chunk& chunk) {
        return blocks[chunk.block].base + chunk.pages.first * kPageSize;
    };
    MFD_CHECK(hand_out_chunks(*state_, blocks, memory_of));
    return pool_->run_pass(stop);
}

std::vector<ThreadInfo> PageLoader::threads() const {
    return pool_->threads();
}

} // namespace mfd
