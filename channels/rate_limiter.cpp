#include "channels/rate_limiter.hpp"

#include <algorithm>

namespace mfd {

namespace {
// What may be moved at once after a pause: enough that a disk is not kept waiting, little enough
// that the rate holds within a tenth of a second.
constexpr double kBurstSeconds = 0.1;
// Never wait longer without a look at the clock, so that a tiny rate cannot overflow a time point.
constexpr double kLongestWaitSeconds = 60;
} // namespace

void RateLimiter::refill(Clock::time_point now) {
    const std::chrono::duration<double> passed = now - refilled_;
    const double rate = static_cast<double>(rate_);
    tokens_ = std::min(tokens_ + rate * passed.count(), rate * kBurstSeconds);
    refilled_ = now;
}

void RateLimiter::set_rate(std::uint64_t bytes_per_second) {
    MutexLock lock(mu_);
    refill(Clock::now());
    rate_ = bytes_per_second;
    tokens_ = 0; // debts and savings of the old rate mean nothing under the new one
    limited_.store(bytes_per_second != 0, std::memory_order_relaxed);
    changed_.notify_all();
}

bool RateLimiter::acquire(std::uint64_t bytes, const std::stop_token& stop) {
    if (!limited_.load(std::memory_order_relaxed))
        return !stop.stop_requested();
    MutexLock lock(mu_);
    while (!stop.stop_requested()) {
        if (rate_ == 0)
            return true;
        refill(Clock::now());
        if (tokens_ >= 0) {
            tokens_ -= static_cast<double>(bytes);
            return true;
        }
        const double seconds = std::min(-tokens_ / static_cast<double>(rate_), kLongestWaitSeconds);
        const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                              std::chrono::duration<double>(seconds));
        const std::uint64_t rate = rate_;
        changed_.wait_until(mu_, stop, until, [&]() MFD_REQUIRES(mu_) { return rate_ != rate; });
    }
    return false;
}

} // namespace mfd
