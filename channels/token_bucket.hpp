// The arithmetic of a limited rate: who moves bytes asks, and is told how long to wait first. Times
// are given. Not thread-safe.
//
// In any second no more is granted than the rate allows, plus what may have been saved up, plus one
// transfer on credit; both are bounded by a fiftieth of a second, so the error stays below 5 %.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace mfd {

class TokenBucket {
public:
    using Clock = std::chrono::steady_clock;
    using Seconds = std::chrono::duration<double>;

    // Bytes per second, at least 1.
    TokenBucket(std::uint64_t rate, Clock::time_point now)
        : rate_(static_cast<double>(rate)), refilled_(now) {}

    // Grants `bytes` at once, or says how long there must be waited before asking again. Any number
    // of bytes is granted in the end; what exceeds transfer_bytes() makes the rate less even.
    Seconds take(std::uint64_t bytes, Clock::time_point now) {
        tokens_ =
            std::min(tokens_ + rate_ * Seconds(now - refilled_).count(), rate_ * kSlice.count());
        refilled_ = now;
        if (tokens_ <= -kRounding)
            return Seconds(-tokens_ / rate_);
        tokens_ -= static_cast<double>(bytes);
        return Seconds(0);
    }

    // The most that should be taken at once.
    [[nodiscard]] std::uint64_t transfer_bytes() const {
        return static_cast<std::uint64_t>(rate_ * kSlice.count());
    }

private:
    static constexpr Seconds kSlice{0.02};
    static constexpr double kRounding = 0.5; // less than a byte is no debt

    double rate_;
    double tokens_ = 0; // below zero: bytes on credit that time must pay
    Clock::time_point refilled_;
};

} // namespace mfd
