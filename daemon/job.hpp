// What a running job and the control thread have between them.
#pragma once

#include "channels/counters.hpp"
#include "channels/mutex.hpp"
#include "channels/worker_pool.hpp"
#include "daemon/guest/memory_backend.hpp"
#include "daemon/migration_state.hpp"
#include "proto/encode.hpp"
#include "proto/error.hpp"
#include "proto/plan.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace mfd {

// Told by the job, called on the job's thread. Implementations hand over to the control thread and
// return at once, apart from switchover().
class JobHost {
public:
    virtual ~JobHost() = default;
    // The file is open: from here on a failure is the job's, not the command's.
    virtual void opened() = 0;
    virtual void active() = 0;
    virtual void pass_started(std::uint64_t pass) = 0;
    // How much of its time the guest shall be kept from writing, in percent; 0: not at all.
    virtual void throttle(std::uint32_t percent) = 0;
    // The save could finish within its downtime limit: whoever writes the memory should stop, and
    // say so by the command stop (or the descriptor x-stop-eventfd).
    virtual void stop_needed() = 0;
    // Waits until the guest stands still and the save may finish. The run state to save, or
    // Errc::Cancelled.
    virtual Result<RunStatus> switchover(const std::stop_token& stop) = 0;
    // What may take long to be destroyed, and uses nothing of the guest: the job's thread does that
    // after it told its result. The next job begins after it.
    virtual void leave_behind(std::shared_ptr<void> rest) = 0;
    // Waits for the guest's RAM blocks, which stay alive and in place while the job runs. Blocks
    // that are `listed` in a file and missing in the guest are made if the daemon was told so.
    virtual Result<std::vector<MemoryBackend*>> guest_blocks(const std::vector<BlockSpec>& listed,
                                                             const std::stop_token& stop) = 0;
};

// What a job has done so far. Written by the job thread, read by the control thread at any time.
struct JobProgress {
    explicit JobProgress(unsigned channels) : counters(channels) {}

    Counters counters;
    std::atomic<std::uint64_t> total_bytes{0};        // of all blocks
    std::atomic<std::uint64_t> pass{0};               // the last one started
    std::atomic<std::uint64_t> running_meta_bytes{0}; // main stream, while the guest could run
    std::atomic<std::uint64_t> stopped_meta_bytes{0}; // main stream, after the switchover
    std::atomic<std::uint64_t> dirty_pages_rate{0};   // pages per second, as last measured
    std::atomic<std::uint64_t> bandwidth{0};          // bytes of pages per second, likewise
    std::atomic<std::uint64_t> expected_downtime_ms{0};
    std::atomic<std::uint64_t> looks_without_progress{0}; // not 0: the save does not converge
    std::atomic<bool> verified{false}; // of a load: pages are compared with checksums

    // So many pages are to be looked at, beside those that were so far.
    void set_remaining(std::uint64_t pages) MFD_EXCLUDES(mu_) {
        const MutexLock lock(mu_);
        goal_pages_ = pages_done() + pages;
    }
    [[nodiscard]] std::uint64_t remaining_pages() const MFD_EXCLUDES(mu_) {
        const MutexLock lock(mu_);
        return goal_pages_ - std::min(goal_pages_, pages_done());
    }

    void set_threads(std::vector<ThreadInfo> threads) MFD_EXCLUDES(mu_) {
        const MutexLock lock(mu_);
        threads_ = std::move(threads);
    }
    [[nodiscard]] std::vector<ThreadInfo> threads() const MFD_EXCLUDES(mu_) {
        const MutexLock lock(mu_);
        return threads_;
    }

private:
    [[nodiscard]] std::uint64_t pages_done() const {
        return counters.normal_pages() + counters.duplicate_pages();
    }

    mutable Mutex mu_;
    std::uint64_t goal_pages_ MFD_GUARDED_BY(mu_) = 0;
    std::vector<ThreadInfo> threads_ MFD_GUARDED_BY(mu_);
};

// What a loaded file holds besides RAM: kept as bytes, so that a later save writes it again.
struct LoadedState {
    Configuration configuration;
    std::vector<BlockSpec> blocks; // in the order of the file
    bool switchover_start = true;
    std::vector<DeviceSection> early_devices;
    std::vector<DeviceSection> devices;
    std::string vmdescription;
};

} // namespace mfd
