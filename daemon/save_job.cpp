#include "daemon/save_job.hpp"

#include "proto/device_state.hpp"
#include "proto/encode.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace mfd {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// Ids of sections are unique in a stream; the RAM section has 1.
constexpr std::uint32_t kGlobalstateSectionId = 3;

// A loaded guest keeps the order of its file, so that the copy has the same layout.
std::vector<BlockSpec> specs_of(const std::vector<MemoryBackend*>& blocks) {
    std::vector<BlockSpec> specs;
    specs.reserve(blocks.size());
    for (const MemoryBackend* block : blocks)
        specs.push_back({block->block_name(), block->size()});
    return specs;
}

void order_as_loaded(std::vector<MemoryBackend*>& blocks, const LoadedState& loaded) {
    const auto rank = [&](const MemoryBackend* block) {
        return std::find_if(loaded.blocks.begin(), loaded.blocks.end(), [&](const BlockSpec& spec) {
            return spec.idstr == block->block_name();
        });
    };
    std::stable_sort(blocks.begin(), blocks.end(),
                     [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
}

std::vector<PageRun> page_runs(const std::vector<ByteExtent>& extents) {
    std::vector<PageRun> runs;
    runs.reserve(extents.size());
    for (const ByteExtent& extent : extents)
        runs.push_back({extent.offset / kPageSize, extent.length / kPageSize});
    return runs;
}

} // namespace

SaveJob::SaveJob(SaveRequest request, JobHost& host, JobProgress& progress)
    : request_(std::move(request)), host_(host), progress_(progress) {}

SaveJob::~SaveJob() = default;

Result<void> SaveJob::run(const std::stop_token& stop) {
    if (request_.loaded)
        order_as_loaded(request_.blocks, *request_.loaded);
    MFD_TRY(MigrationFile file, MigrationFile::open_save(std::move(request_.target)));
    host_.opened();

    MFD_TRY(const StreamPlan plan,
            plan_stream(FileOffset(file.stream_offset()), request_.configuration,
                        specs_of(request_.blocks),
                        request_.loaded ? BlockOrder::AsGiven : BlockOrder::LargestFirst));
    MFD_CHECK(file.reserve(plan.head_end.value));
    // From here on blocks and layout go in step.
    std::vector<MemoryBackend*> in_file_order;
    for (const BlockLayout& layout : plan.blocks)
        in_file_order.push_back(
            *std::find_if(request_.blocks.begin(), request_.blocks.end(),
                          [&](const auto* block) { return block->block_name() == layout.idstr; }));
    request_.blocks = std::move(in_file_order);

    // Before the clients hear that the save is active, so that its threads can be asked for then.
    MFD_TRY(const auto saver, PageSaver::start(file, request_.pages, progress_.counters));
    progress_.set_threads(saver->threads());

    progress_.total_bytes = plan.total_ram;
    progress_.pass_pages = plan.total_ram / kPageSize;
    progress_.pass = 1;
    host_.pass_started(1);
    host_.active();

    MFD_CHECK(write_head(file, plan));
    auto saved = save_pages(*saver, plan, stop);
    progress_.set_threads({});
    if (tracker_)
        if (auto stopped = tracker_->stop(); saved.has_value() && !stopped.has_value())
            saved = std::move(stopped);
    MFD_CHECK(std::move(saved));
    MFD_CHECK(write_tail(file, plan));
    if (request_.sync)
        MFD_CHECK(file.sync());
    return file.finish();
}

Result<void> SaveJob::write(MigrationFile& file, const Fragment& fragment, const char* what,
                            std::atomic<std::uint64_t>& counter) {
    auto written = file.write_meta(fragment.bytes, fragment.at.value);
    if (!written.has_value())
        return with_context(std::string("write ") + what, std::move(written).error());
    counter += fragment.bytes.size();
    return {};
}

Result<void> SaveJob::write_head(MigrationFile& file, const StreamPlan& plan) {
    for (const Fragment& fragment : encode_head(plan)) {
        auto written = write(file, fragment, "stream header", progress_.running_meta_bytes);
        // QEMU's words for a failure here, whatever its cause; the cause follows.
        if (!written.has_value())
            return with_context("ram_save_setup failed: Input/output error",
                                std::move(written).error());
    }
    at_ = plan.head_end;
    if (request_.loaded && !request_.loaded->early_devices.empty()) {
        MFD_TRY(const Fragment early, encode_devices(at_, request_.loaded->early_devices));
        MFD_CHECK(write(file, early, "early device sections", progress_.running_meta_bytes));
        at_ = early.end();
    }
    return {};
}

// One walk; it fills in the progress that query-migrate computes "remaining" from.
Result<void> SaveJob::one_pass(PageSaver& saver, std::vector<SaveBlock>& blocks,
                               const std::stop_token& stop) {
    auto done = saver.pass(blocks, stop);
    if (done.has_value() || done.error().sys == 0)
        return done;
    // QEMU's words first, then where.
    const std::string context = "Unable to write to file: " + errno_text(done.error().sys);
    return with_context(context, std::move(done).error());
}

Result<std::uint64_t> SaveJob::collect_dirty() {
    std::uint64_t pages = 0;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        Block& block = blocks_[i];
        block.dirty.clear_range({0, block.dirty.pages()});
        MFD_CHECK(tracker_->collect(*request_.blocks[i], block.dirty));
        pages += block.dirty.count();
    }
    return pages;
}

bool SaveJob::fits_downtime(std::uint64_t dirty_pages, double bytes_per_second) const {
    const double limit_s = static_cast<double>(request_.downtime_limit_ms->load()) / 1000;
    const double rate = request_.switchover_bandwidth != 0
                            ? static_cast<double>(request_.switchover_bandwidth)
                            : bytes_per_second;
    const double needed_s = static_cast<double>(dirty_pages * kPageSize) / std::max(rate, 1.0);
    progress_.expected_downtime_ms = static_cast<std::uint64_t>(needed_s * 1000);
    return needed_s <= limit_s;
}

Result<void> SaveJob::save_pages(PageSaver& saver, const StreamPlan& plan,
                                 const std::stop_token& stop) {
    if (request_.tracking == SaveTracking::Tracked) {
        MFD_TRY(tracker_, make_dirty_tracker(request_.blocks));
        MFD_CHECK(tracker_->start());
    }
    std::vector<SaveBlock> blocks(plan.blocks.size());
    blocks_.resize(plan.blocks.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        const MemoryBackend& backend = *request_.blocks[i];
        blocks_[i].present = PageBitmap(plan.blocks[i].pages());
        if (tracker_)
            blocks_[i].dirty = PageBitmap(plan.blocks[i].pages());
        blocks[i].name = backend.block_name();
        blocks[i].base = backend.memory().data();
        blocks[i].length_bytes = backend.size();
        blocks[i].pages_offset = plan.blocks[i].pages_offset.value;
        blocks[i].present = &blocks_[i].present;
        MFD_TRY(const auto extents, backend.data_extents());
        blocks[i].data = page_runs(extents);
    }

    const auto walk = [&]() -> Result<void> { return one_pass(saver, blocks, stop); };
    const auto begin_next = [&](std::uint64_t dirty_pages) {
        progress_.pages_before_pass =
            progress_.counters.normal_pages() + progress_.counters.duplicate_pages();
        progress_.pass_pages = dirty_pages;
        const std::uint64_t pass = ++progress_.pass;
        host_.pass_started(pass);
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            blocks[i].dirty = &blocks_[i].dirty;
            blocks[i].data.reset();
        }
    };

    auto started = Clock::now();
    auto bytes_before = progress_.counters.bytes();
    MFD_CHECK(walk());
    while (tracker_) {
        MFD_TRY(const std::uint64_t dirty_pages, collect_dirty());
        const double elapsed = seconds_since(started);
        const double moved = static_cast<double>(progress_.counters.bytes() - bytes_before);
        progress_.dirty_pages_rate =
            static_cast<std::uint64_t>(static_cast<double>(dirty_pages) / std::max(elapsed, 1e-3));
        if (fits_downtime(dirty_pages, moved / std::max(elapsed, 1e-3)))
            break;
        begin_next(dirty_pages);
        started = Clock::now();
        bytes_before = progress_.counters.bytes();
        MFD_CHECK(walk());
    }
    MFD_TRY(saved_status_, host_.switchover(stop));

    // The guest stands still: what it wrote since the last look, beside what that look found.
    if (tracker_) {
        std::uint64_t dirty_pages = 0;
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            MFD_CHECK(tracker_->collect(*request_.blocks[i], blocks_[i].dirty));
            dirty_pages += blocks_[i].dirty.count();
        }
        if (request_.pages.limiter != nullptr)
            request_.pages.limiter->set_rate(0); // max-bandwidth is for the passes before this one
        begin_next(dirty_pages);
        MFD_CHECK(walk());
    } else {
        begin_next(0);
    }
    return {};
}

Result<void> SaveJob::write_tail(MigrationFile& file, const StreamPlan& plan) {
    auto& counter = progress_.stopped_meta_bytes;
    const Fragment part = encode_part(at_);
    MFD_CHECK(write(file, part, "RAM section", counter));
    for (std::size_t i = 0; i < plan.blocks.size(); ++i) {
        auto written =
            file.write_meta(blocks_[i].present.bytes(), plan.blocks[i].bitmap_offset.value);
        if (!written.has_value())
            return with_context("write bitmap of block " + plan.blocks[i].idstr,
                                std::move(written).error());
        counter += plan.blocks[i].bitmap_size();
    }

    Tail tail;
    const auto run_state = name_of(saved_status_);
    if (request_.loaded) {
        tail.switchover_start = request_.loaded->switchover_start;
        tail.devices = request_.loaded->devices;
        tail.vmdescription = request_.loaded->vmdescription;
        if (run_state_of(tail.devices))
            MFD_CHECK(replace_run_state(tail.devices, run_state));
    } else {
        tail.switchover_start = machine_sends_switchover_start(plan.configuration.machine);
        MFD_TRY(DeviceSection state, make_globalstate(kGlobalstateSectionId, run_state));
        tail.devices.push_back(std::move(state));
        tail.vmdescription = make_vmdescription(plan.configuration);
    }
    MFD_TRY(const Fragment end, encode_tail(part.end(), tail));
    return write(file, end, "closing sections", counter);
}

} // namespace mfd
