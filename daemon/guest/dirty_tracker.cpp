#include "daemon/guest/dirty_tracker.hpp"

#include "daemon/guest/shared_dirty_log.hpp"
#include "daemon/guest/write_protection.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace mfd {

namespace {

class NoTracker final : public DirtyTracker {
public:
    TrackingSource source(const MemoryBackend& /*block*/) const override {
        return TrackingSource::None;
    }
    Result<void> start() override { return {}; }
    Result<std::uint64_t> collect(const MemoryBackend& /*block*/, PageBitmap& /*into*/) override {
        return std::uint64_t{0};
    }
    void stop() override {}
};

class LiveTracker final : public DirtyTracker {
public:
    struct Tracked {
        const MemoryBackend* block = nullptr;
        TrackingSource source = TrackingSource::None;
        std::optional<SharedDirtyLog> log;
    };

    explicit LiveTracker(std::vector<Tracked> tracked) : tracked_(std::move(tracked)) {}

    TrackingSource source(const MemoryBackend& block) const override {
        const auto found = find(block);
        return found == tracked_.end() ? TrackingSource::None : found->source;
    }

    Result<void> start() override {
        if (started_)
            return Error{Errc::WrongState, "start tracking of dirty pages: it has started already"};
        protection_.reset();
        auto started = start_all();
        if (!started.has_value())
            protection_.reset();
        return started;
    }

    Result<std::uint64_t> collect(const MemoryBackend& block, PageBitmap& into) override {
        const auto found = find(block);
        if (found == tracked_.end())
            return Error{Errc::BadArgument,
                         "take dirty pages of block " + block.block_name() + ": it is not tracked"};
        if (!started_)
            return Error{Errc::WrongState, "take dirty pages of block " + block.block_name() +
                                               ": tracking has not started"};
        switch (found->source) {
        case TrackingSource::None:
            return std::uint64_t{0};
        case TrackingSource::Pagemap:
            return protection_->take_written(block, into);
        case TrackingSource::SharedLog:
            // The log belongs to this entry alone: const is for finding it.
            return tracked_[static_cast<std::size_t>(found - tracked_.begin())].log->take_written(
                into);
        }
        return std::uint64_t{0};
    }

    void stop() override {
        started_ = false;
        if (protection_)
            protection_->stop();
    }

private:
    std::vector<Tracked>::const_iterator find(const MemoryBackend& block) const {
        return std::find_if(tracked_.begin(), tracked_.end(),
                            [&block](const Tracked& t) { return t.block == &block; });
    }

    Result<void> start_all() {
        for (Tracked& tracked : tracked_) {
            if (tracked.log)
                MFD_CHECK(tracked.log->reset());
            if (tracked.source != TrackingSource::Pagemap)
                continue;
            if (!protection_) {
                MFD_TRY(auto protection, WriteProtection::open());
                protection_.emplace(std::move(protection));
            }
            MFD_CHECK(protection_->start(*tracked.block));
        }
        started_ = true;
        return {};
    }

    std::vector<Tracked> tracked_;
    std::optional<WriteProtection> protection_; // since the last start, if a block needs it
    bool started_ = false;
};

} // namespace

std::string_view tracking_source_name(TrackingSource source) {
    switch (source) {
    case TrackingSource::None:
        return "none";
    case TrackingSource::Pagemap:
        return "pagemap";
    case TrackingSource::SharedLog:
        return "shared-log";
    }
    return {};
}

TrackingSupport probe_tracking() {
    const auto probed = WriteProtection::probe();
    if (probed.has_value())
        return {true, {}};
    return {false, probed.error().what};
}

Result<std::unique_ptr<DirtyTracker>> make_dirty_tracker(std::span<MemoryBackend* const> blocks) {
    std::vector<LiveTracker::Tracked> tracked;
    bool needs_kernel = false;
    for (const MemoryBackend* block : blocks) {
        LiveTracker::Tracked entry{block, TrackingSource::Pagemap, {}};
        if (block->dirty_log().valid()) {
            MFD_TRY(auto log, SharedDirtyLog::map(*block));
            entry.source = TrackingSource::SharedLog;
            entry.log.emplace(std::move(log));
        } else if (block->foreign()) {
            return Error{
                Errc::Unsupported,
                "memory of block " + block->block_name() +
                    " may be written by another process, whose writes only a dirty log can "
                    "show: give the backend one (x-dirty-log), or stop the guest first"};
        } else if (block->readonly()) {
            entry.source = TrackingSource::None;
        }
        needs_kernel = needs_kernel || entry.source == TrackingSource::Pagemap;
        tracked.push_back(std::move(entry));
    }
    if (needs_kernel)
        if (auto probed = WriteProtection::probe(); !probed.has_value())
            return with_context("track writes to guest memory", std::move(probed).error());
    return std::unique_ptr<DirtyTracker>(std::make_unique<LiveTracker>(std::move(tracked)));
}

std::unique_ptr<DirtyTracker> make_no_tracker() {
    return std::make_unique<NoTracker>();
}

} // namespace mfd
