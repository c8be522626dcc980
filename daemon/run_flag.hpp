// Whether the guest runs, for threads that cannot ask RunControl. Set by the control thread, read
// and waited for by a job.
#pragma once

#include "channels/mutex.hpp"

#include <chrono>
#include <stop_token>

namespace mfd {

class RunFlag {
public:
    using Clock = std::chrono::steady_clock;

    // "Not running" is said when nothing in this process writes to the guest's memory any more,
    // "running" before something may.
    void set(bool running) MFD_EXCLUDES(mu_) {
        const MutexLock lock(mu_);
        if (running_ != running)
            since_ = Clock::now();
        running_ = running;
        changed_.notify_all();
    }
    [[nodiscard]] bool running() const MFD_EXCLUDES(mu_) {
        const MutexLock lock(mu_);
        return running_;
    }
    // When it began to run, or stopped.
    [[nodiscard]] Clock::time_point since() const MFD_EXCLUDES(mu_) {
        const MutexLock lock(mu_);
        return since_;
    }
    // Waits for the guest to stop. False after `at_most`, or when `stop` was requested.
    [[nodiscard]] bool wait_stopped(std::chrono::milliseconds at_most,
                                    const std::stop_token& stop) const MFD_EXCLUDES(mu_) {
        const MutexLock lock(mu_);
        return changed_.wait_for(mu_, stop, at_most,
                                 [this]() MFD_REQUIRES(mu_) { return !running_; });
    }

private:
    mutable Mutex mu_;
    mutable CondVar changed_;
    bool running_ MFD_GUARDED_BY(mu_) = false;
    Clock::time_point since_ MFD_GUARDED_BY(mu_) = Clock::now();
};

} // namespace mfd
