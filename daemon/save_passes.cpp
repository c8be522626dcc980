#include "daemon/save_passes.hpp"

#include <spdlog/spdlog.h>

#include <cmath>
#include <string>
#include <utility>

namespace mfd {

namespace {

// How often the rest is looked at while the owner of the memory is awaited: chosen, so that a rest
// that has outgrown the usual downtime limit of 300 ms is soon found.
constexpr std::chrono::milliseconds kOwnerLook{100};

Error cancelled() {
    return Error{Errc::Cancelled, "cancelled"};
}

std::vector<PageRun> page_runs(const std::vector<ByteExtent>& extents) {
    std::vector<PageRun> runs;
    runs.reserve(extents.size());
    for (const ByteExtent& extent : extents)
        runs.push_back({extent.offset / kPageSize, extent.length / kPageSize});
    return runs;
}

} // namespace

SavePasses::SavePasses(const SaveRequest& request, const StreamPlan& plan, MigrationFile& file,
                       PageSaver& saver, const SaveChecksums* checksums, JobHost& host,
                       JobProgress& progress)
    : request_(request), plan_(plan), file_(file), saver_(saver), checksums_(checksums),
      host_(host), progress_(progress), convergence_(request.auto_converge) {}

Result<RunStatus> SavePasses::run(const std::stop_token& stop) {
    auto saved_status = all_passes(stop);
    if (tracker_)
        tracker_->stop();
    // The guest stands still, so what the kernel takes to end its part should not be waited for.
    if (saved_status.has_value())
        host_.leave_behind(std::move(tracker_));
    tracker_.reset();
    return saved_status;
}

Result<RunStatus> SavePasses::all_passes(const std::stop_token& stop) {
    MFD_CHECK(prepare());
    MFD_CHECK(walk(stop));
    if (tracker_)
        MFD_CHECK(follow_guest(stop));
    MFD_TRY(const RunStatus saved_status, host_.switchover(stop));

    // The guest stands still: what it wrote since the last look, beside what that look found.
    if (request_.pages.limiter != nullptr)
        request_.pages.limiter->set_rate(0); // max-bandwidth is for the passes before this one
    MFD_CHECK(look(stop));
    begin_next_pass();
    if (tracker_)
        MFD_CHECK(walk(stop));
    return saved_status;
}

// From here on writes of the guest are found, and only then are its pages read.
Result<void> SavePasses::prepare() {
    if (request_.tracking == SaveTracking::Tracked) {
        MFD_TRY(tracker_, make_dirty_tracker(request_.blocks));
        MFD_CHECK(tracker_->start());
    }
    MFD_CHECK(check_memory());
    measured_.at = Clock::now();
    blocks_.resize(plan_.blocks.size());
    bitmaps_.resize(plan_.blocks.size());
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        const MemoryBackend& backend = *request_.blocks[i];
        const BlockLayout& layout = plan_.blocks[i];
        bitmaps_[i].present = PageBitmap(layout.pages());
        if (tracker_)
            bitmaps_[i].dirty = PageBitmap(layout.pages());
        blocks_[i].name = backend.block_name();
        blocks_[i].base = backend.memory().data();
        blocks_[i].length_bytes = backend.size();
        blocks_[i].pages_offset = layout.pages_offset.value;
        blocks_[i].present = &bitmaps_[i].present;
        blocks_[i].checksums = checksums_ != nullptr ? checksums_->entries(i) : nullptr;
        MFD_TRY(const auto extents, backend.data_extents());
        blocks_[i].data = page_runs(extents);
    }
    return {};
}

// The passes after the first, until the guest may be stopped for the last one, or was.
Result<void> SavePasses::follow_guest(const std::stop_token& stop) {
    bool announced = false;
    MFD_CHECK(settle(stop));
    for (;;) {
        MFD_CHECK(look(stop));
        if (!request_.guest->running())
            return {};
        measure();
        if (!fits_downtime()) {
            begin_next_pass();
            MFD_CHECK(walk(stop));
            MFD_CHECK(settle(stop));
            continue;
        }
        if (request_.guest_stop == GuestStop::Switchover)
            return {};
        if (!std::exchange(announced, true))
            host_.stop_needed();
        if (request_.guest->wait_stopped(kOwnerLook, stop))
            return {};
        if (stop.stop_requested())
            return cancelled();
    }
}

Result<void> SavePasses::check_memory() const {
    for (const MemoryBackend* backend : request_.blocks)
        MFD_CHECK(backend->check_intact());
    return {};
}

Result<void> SavePasses::walk(const std::stop_token& stop) {
    auto done = saver_.pass(blocks_, stop);
    // Whether it failed, or took the zeros for memory that stand in for what is lost.
    MFD_CHECK(check_memory());
    if (!done.has_value() && done.error().sys != 0) {
        // QEMU's words first, then where.
        const std::string context = "Unable to write to file: " + errno_text(done.error().sys);
        return with_context(context, std::move(done).error());
    }
    MFD_CHECK(std::move(done));
    // What is written behind the pages would make a shortened file as long as it was.
    MFD_CHECK(file_.check_length());
    if (const int refusal = saver_.punch_refusal();
        std::exchange(punch_refusal_, refusal) != refusal)
        spdlog::info("blocks of pages that became zero stay in the file: {}", errno_text(refusal));
    if (checksums_ != nullptr)
        MFD_CHECK(write_checksums());
    for (Bitmaps& bitmaps : bitmaps_)
        bitmaps.dirty.clear_range({0, bitmaps.dirty.pages()});
    return {};
}

// After each pass what it changed, so that little is left for the time the guest stands still.
Result<void> SavePasses::write_checksums() {
    const bool stopped = tracker_ && !request_.guest->running();
    auto& counter = stopped ? progress_.stopped_meta_bytes : progress_.running_meta_bytes;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        const bool all = blocks_[i].dirty == nullptr;
        auto written =
            checksums_->write_table(file_, i, all ? bitmaps_[i].present : bitmaps_[i].dirty);
        if (!written.has_value())
            return with_context("write checksums of block " + blocks_[i].name,
                                std::move(written).error());
        counter += *written;
    }
    return {};
}

// What the page cache still holds of the passes so far would be waited for while the guest stands
// still; and a pass has to take as long as its data needs to the device, or else the bandwidth
// would be that of memory.
Result<void> SavePasses::settle(const std::stop_token& stop) {
    if (request_.sync && request_.guest->running())
        return file_.write_back(stop);
    return {};
}

void SavePasses::begin_next_pass() {
    const std::uint64_t pass = ++progress_.pass;
    host_.pass_started(pass);
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        blocks_[i].dirty = &bitmaps_[i].dirty;
        blocks_[i].data.reset();
    }
}

// Adds what was written since the last look to what is to be done.
Result<void> SavePasses::look(const std::stop_token& stop) {
    dirty_pages_ = dirty_runs_ = 0;
    for (std::size_t i = 0; tracker_ && i < blocks_.size(); ++i) {
        if (stop.stop_requested())
            return cancelled();
        MFD_TRY(const std::uint64_t reported,
                tracker_->collect(*request_.blocks[i], bitmaps_[i].dirty));
        dirtied_pages_ += reported;
        dirty_pages_ += bitmaps_[i].dirty.count();
        dirty_runs_ += bitmaps_[i].dirty.count_runs();
    }
    progress_.set_remaining(dirty_pages_);
    return {};
}

// What the time since the last measurement tells about the way the save goes.
void SavePasses::measure() {
    const auto now = Clock::now();
    const std::uint64_t normal = progress_.counters.normal_pages();
    const std::uint64_t all = normal + progress_.counters.duplicate_pages();
    const std::uint64_t transfers = progress_.counters.transfers();
    convergence_.add({.time = now - measured_.at,
                      .stored_bytes = (normal - measured_.normal_pages) * kPageSize,
                      .transfers = transfers - measured_.transfers,
                      .checked_bytes = (all - measured_.all_pages) * kPageSize,
                      .dirtied_bytes = (dirtied_pages_ - measured_.dirtied_pages) * kPageSize,
                      .remaining_bytes = dirty_pages_ * kPageSize,
                      .remaining_runs = dirty_runs_});
    measured_ = {now, normal, all, transfers, dirtied_pages_};

    progress_.dirty_pages_rate = convergence_.dirty_pages_per_second();
    progress_.bandwidth = static_cast<std::uint64_t>(convergence_.bandwidth());
    const std::uint64_t stuck = convergence_.looks_without_progress();
    if (progress_.looks_without_progress.exchange(stuck) == 0 && stuck != 0)
        spdlog::warn("the save does not converge: {} pages remain, the guest writes {} pages per "
                     "second, the file takes {:.0f} bytes per second",
                     dirty_pages_, convergence_.dirty_pages_per_second(), convergence_.bandwidth());
    if (const std::uint32_t percent = convergence_.throttle_percent(); percent != throttle_) {
        throttle_ = percent;
        host_.throttle(percent);
    }
}

bool SavePasses::fits_downtime() const {
    const std::chrono::duration<double, std::milli> expected =
        convergence_.expected_downtime(static_cast<double>(request_.switchover_bandwidth));
    progress_.expected_downtime_ms = static_cast<std::uint64_t>(std::ceil(expected.count()));
    return expected.count() <= static_cast<double>(request_.downtime_limit_ms->load());
}

} // namespace mfd
