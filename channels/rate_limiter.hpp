// The rate that all channels of a job share. Any thread; the rate may change at any time.
#pragma once

#include "channels/mutex.hpp"
#include "channels/token_bucket.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <stop_token>

namespace mfd {

class RateLimiter {
public:
    static constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

    // Bytes per second; 0 means no limit.
    explicit RateLimiter(std::uint64_t bytes_per_second) { set_rate(bytes_per_second); }

    // Takes effect at once, also for those who wait.
    void set_rate(std::uint64_t bytes_per_second) MFD_EXCLUDES(mu_);

    // Waits until `bytes` may be moved; they may exceed what a second allows. False if stopped.
    [[nodiscard]] bool acquire(std::uint64_t bytes, const std::stop_token& stop) MFD_EXCLUDES(mu_);

    // The largest transfer that keeps the rate even; kUnlimited without a limit.
    [[nodiscard]] std::uint64_t transfer_bytes() const {
        return transfer_bytes_.load(std::memory_order_relaxed);
    }

private:
    using Clock = TokenBucket::Clock;

    std::atomic<std::uint64_t> transfer_bytes_{kUnlimited};
    Mutex mu_;
    CondVar changed_;
    std::optional<TokenBucket> bucket_ MFD_GUARDED_BY(mu_); // nothing: no limit
    std::uint64_t changes_ MFD_GUARDED_BY(mu_) = 0;
};

} // namespace mfd
