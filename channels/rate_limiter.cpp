#include "channels/rate_limiter.hpp"

#include <algorithm>
#include <chrono>

namespace mfd {

namespace {
// Never wait longer without a look at the clock, so that a tiny rate cannot overflow a time point.
constexpr TokenBucket::Seconds kLongestWait{60};
} // namespace

void RateLimiter::set_rate(std::uint64_t bytes_per_second) {
    const MutexLock lock(mu_);
    // A new bucket: debts and savings of the old rate mean nothing under the new one.
    bucket_.reset();
    if (bytes_per_second != 0)
        bucket_.emplace(bytes_per_second, Clock::now());
    transfer_bytes_.store(bucket_ ? bucket_->transfer_bytes() : kUnlimited,
                          std::memory_order_relaxed);
    ++changes_;
    changed_.notify_all();
}

bool RateLimiter::acquire(std::uint64_t bytes, const std::stop_token& stop) {
    if (transfer_bytes() == kUnlimited) // saves the lock
        return !stop.stop_requested();
    const MutexLock lock(mu_);
    while (!stop.stop_requested()) {
        if (!bucket_)
            return true;
        const auto now = Clock::now();
        const auto wait = std::min(bucket_->take(bytes, now), kLongestWait);
        if (wait <= wait.zero())
            return true;
        // Rounded up, since a wake-up that comes a nanosecond early would only sleep once more.
        const auto until = now + std::chrono::ceil<Clock::duration>(wait);
        const std::uint64_t changes = changes_;
        changed_.wait_until(mu_, stop, until,
                            [&]() MFD_REQUIRES(mu_) { return changes_ != changes; });
    }
    return false;
}

} // namespace mfd
