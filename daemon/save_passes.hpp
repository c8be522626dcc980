// The passes of one save over the guest's pages: all of them first, then those that the guest wrote
// meanwhile, again and again until what remains fits the downtime limit or the guest was stopped;
// and the last one once it stands still. Used by the job thread, once.
#pragma once

#include "daemon/convergence.hpp"
#include "daemon/guest/dirty_tracker.hpp"
#include "daemon/save_checksums.hpp"
#include "daemon/save_request.hpp"
#include "proto/plan.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <vector>

namespace mfd {

class SavePasses {
public:
    // What is given outlives this. The request's blocks stand in the order of the plan. `checksums`
    // may be null.
    SavePasses(const SaveRequest& request, const StreamPlan& plan, MigrationFile& file,
               PageSaver& saver, const SaveChecksums* checksums, JobHost& host,
               JobProgress& progress);

    // Returns with the guest stopped and its memory in the file: the run state to save. Tracking
    // has ended, or will when the job is over.
    Result<RunStatus> run(const std::stop_token& stop);

    // Which pages of the plan's block are in the file.
    [[nodiscard]] const PageBitmap& present(std::size_t block) const {
        return bitmaps_[block].present;
    }

private:
    using Clock = std::chrono::steady_clock;
    struct Bitmaps { // of a block
        PageBitmap present;
        PageBitmap dirty; // what is to be written; without pages unless the guest is tracked
    };

    Result<void> prepare();
    Result<RunStatus> all_passes(const std::stop_token& stop);
    Result<void> follow_guest(const std::stop_token& stop);
    Result<void> check_memory() const;
    Result<void> walk(const std::stop_token& stop);
    Result<void> write_checksums();
    Result<void> settle(const std::stop_token& stop);
    void begin_next_pass();
    Result<void> look(const std::stop_token& stop);
    void measure();
    [[nodiscard]] bool fits_downtime() const;

    const SaveRequest& request_;
    const StreamPlan& plan_;
    MigrationFile& file_;
    PageSaver& saver_;
    const SaveChecksums* checksums_;
    JobHost& host_;
    JobProgress& progress_;

    std::vector<Bitmaps> bitmaps_; // both in the order of the plan
    std::vector<SaveBlock> blocks_;
    std::unique_ptr<DirtyTracker> tracker_; // nothing: nobody writes
    std::uint64_t dirty_pages_ = 0;         // set in bitmaps_
    std::uint64_t dirty_runs_ = 0;          // that they make up
    std::uint64_t dirtied_pages_ = 0;       // reported since the save began
    Convergence convergence_;
    std::uint32_t throttle_ = 0; // percent, as the host was told
    int punch_refusal_ = 0;      // as the log has it
    struct {                     // as of the last measure()
        Clock::time_point at;
        std::uint64_t normal_pages = 0;
        std::uint64_t all_pages = 0;
        std::uint64_t transfers = 0;
        std::uint64_t dirtied_pages = 0;
    } measured_;
};

} // namespace mfd
