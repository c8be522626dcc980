// One save of guest RAM into a file, on a thread of its own: header, passes over the pages, and
// what closes the stream. The end mark is written last of all, so a file that lacks it is one whose
// save did not get to its end.
#pragma once

#include "channels/migration_file.hpp"
#include "channels/page_saver.hpp"
#include "daemon/guest/dirty_tracker.hpp"
#include "daemon/guest/memory_backend.hpp"
#include "daemon/job.hpp"
#include "proto/plan.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

namespace mfd {

enum class SaveTracking : std::uint8_t {
    None,    // nobody writes to the memory while it is saved
    Tracked, // the guest may run: what it writes is found and written again
};

struct SaveRequest {
    FileTarget target;
    Configuration configuration;
    std::vector<MemoryBackend*> blocks; // stay alive and in place while the job runs
    std::optional<LoadedState> loaded;  // of the file this guest came from: kept and written again
    SaveTracking tracking = SaveTracking::None;
    SaveOptions pages;
    bool sync = true; // fdatasync before the save is complete
    const std::atomic<std::uint64_t>* downtime_limit_ms = nullptr; // may change on the way
    std::uint64_t switchover_bandwidth = 0; // bytes per second; 0: as measured
};

class SaveJob {
public:
    SaveJob(SaveRequest request, JobHost& host, JobProgress& progress);
    ~SaveJob();

    // Once. On success the file is complete, and on stable storage if asked for.
    Result<void> run(const std::stop_token& stop);

private:
    struct Block { // beside request_.blocks
        PageBitmap present;
        PageBitmap dirty; // without pages unless the guest is tracked
    };

    Result<void> write_head(MigrationFile& file, const StreamPlan& plan);
    Result<void> save_pages(PageSaver& saver, const StreamPlan& plan, const std::stop_token& stop);
    Result<void> one_pass(PageSaver& saver, std::vector<SaveBlock>& blocks,
                          const std::stop_token& stop);
    Result<std::uint64_t> collect_dirty();
    [[nodiscard]] bool fits_downtime(std::uint64_t dirty_pages, double bytes_per_second) const;
    Result<void> write_tail(MigrationFile& file, const StreamPlan& plan);
    Result<void> write(MigrationFile& file, const Fragment& fragment, const char* what,
                       std::atomic<std::uint64_t>& counter);

    SaveRequest request_;
    JobHost& host_;
    JobProgress& progress_;
    std::vector<Block> blocks_;
    std::unique_ptr<DirtyTracker> tracker_;
    FileOffset at_; // where the main stream goes on
    RunStatus saved_status_ = RunStatus::Paused;
};

} // namespace mfd
