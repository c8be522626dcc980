// A token bucket that all channels of a job draw from. Any thread; the rate may change at any time.
#pragma once

#include "channels/mutex.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stop_token>

namespace mfd {

class RateLimiter {
public:
    // Bytes per second; 0 means no limit.
    explicit RateLimiter(std::uint64_t bytes_per_second)
        : limited_(bytes_per_second != 0), rate_(bytes_per_second) {}

    // Takes effect at once, also for those who wait.
    void set_rate(std::uint64_t bytes_per_second) MFD_EXCLUDES(mu_);

    // Waits until `bytes` may be moved; they may exceed what a second allows. False if stopped.
    [[nodiscard]] bool acquire(std::uint64_t bytes, const std::stop_token& stop) MFD_EXCLUDES(mu_);

private:
    using Clock = std::chrono::steady_clock;
    void refill(Clock::time_point now) MFD_REQUIRES(mu_);

    std::atomic<bool> limited_; // saves the lock where there is no limit
    Mutex mu_;
    CondVar changed_;
    std::uint64_t rate_ MFD_GUARDED_BY(mu_);
    double tokens_ MFD_GUARDED_BY(mu_) = 0; // below zero: bytes on credit that time must pay
    Clock::time_point refilled_ MFD_GUARDED_BY(mu_) = Clock::now();
};

} // namespace mfd
