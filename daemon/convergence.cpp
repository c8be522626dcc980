#include "daemon/convergence.hpp"

#include "proto/checked.hpp"

#include <algorithm>

namespace mfd {

namespace {

using Seconds = std::chrono::duration<double>;

// As long as QEMU measures (BUFFER_DELAY): a pass of a few pages says little about the device.
constexpr Seconds kBandwidthSample{0.1};
// QEMU's period of looks at the dirty rate, and how many must be too high before it acts.
constexpr Seconds kThrottlePeriod{1.0};
constexpr unsigned kHighPeriods = 2;
// Progress: a sixteenth less than ever before. Three looks without it, and the save is said not to
// converge: chosen so that a rest that shrinks by 3 % a pass still counts as progress.
constexpr std::uint64_t kProgressParts = 16;
constexpr std::uint64_t kPatience = 3;
constexpr std::uint32_t kMaxThrottle = 99; // QEMU's CPU_THROTTLE_PCT_MAX

double per_second(std::uint64_t amount, Seconds time) {
    return static_cast<double>(amount) / std::max(time.count(), 1e-6);
}

void accumulate(LookInterval& sum, const LookInterval& interval) {
    sum.time += interval.time;
    sum.stored_bytes += interval.stored_bytes;
    sum.checked_bytes += interval.checked_bytes;
    sum.dirtied_bytes += interval.dirtied_bytes;
}

} // namespace

void Convergence::add(const LookInterval& interval) {
    remaining_bytes_ = interval.remaining_bytes;
    remaining_runs_ = interval.remaining_runs;
    cost_.learn(interval.time, interval.stored_bytes, interval.transfers);
    dirty_pages_rate_ =
        static_cast<std::uint64_t>(per_second(interval.dirtied_bytes / kPageSize, interval.time));
    measure_bandwidth(interval);
    follow_progress(interval.remaining_bytes);
    watch_dirty_rate(interval);
}

void Convergence::measure_bandwidth(const LookInterval& interval) {
    if (interval.checked_bytes == 0)
        return; // nothing was written, so its time says nothing either
    accumulate(sample_, interval);
    if (sample_.time < kBandwidthSample && bandwidth_ != 0)
        return;
    // Where only zero pages were met, looking at them is what takes the time.
    const std::uint64_t bytes =
        sample_.stored_bytes != 0 ? sample_.stored_bytes : sample_.checked_bytes;
    if (sample_.stored_bytes != 0 || bandwidth_ == 0)
        bandwidth_ = per_second(bytes, sample_.time);
    sample_ = {};
}

Seconds Convergence::expected_downtime(double bytes_per_second) const {
    if (bytes_per_second == 0 && cost_.known())
        return cost_.of(remaining_bytes_, remaining_runs_);
    const double rate = bytes_per_second != 0 ? bytes_per_second : bandwidth_;
    return Seconds(static_cast<double>(remaining_bytes_) / std::max(rate, 1.0));
}

void Convergence::follow_progress(std::uint64_t remaining_bytes) {
    const bool progress =
        !least_remaining_bytes_ ||
        remaining_bytes <= *least_remaining_bytes_ - *least_remaining_bytes_ / kProgressParts;
    looks_since_progress_ = progress ? 0 : looks_since_progress_ + 1;
    if (progress)
        least_remaining_bytes_ = remaining_bytes;
}

std::uint64_t Convergence::looks_without_progress() const {
    return looks_since_progress_ >= kPatience ? looks_since_progress_ : 0;
}

void Convergence::watch_dirty_rate(const LookInterval& interval) {
    if (!auto_converge_)
        return;
    accumulate(period_, interval);
    if (period_.time <= kThrottlePeriod)
        return;
    if (period_.dirtied_bytes > period_.stored_bytes / 100 * auto_converge_->trigger_threshold &&
        ++high_periods_ >= kHighPeriods) {
        high_periods_ = 0;
        throttle_further();
    }
    period_ = {};
}

void Convergence::throttle_further() {
    if (throttle_percent_ == 0) {
        throttle_percent_ = auto_converge_->initial;
        return;
    }
    std::uint32_t step = auto_converge_->increment;
    if (auto_converge_->tailslow) {
        // The share of its time with which the guest would dirty just what the threshold allows.
        const std::uint64_t allowed =
            period_.stored_bytes / 100 * auto_converge_->trigger_threshold;
        const double now = 100 - throttle_percent_;
        const double ideal =
            now * static_cast<double>(allowed) / static_cast<double>(period_.dirtied_bytes);
        step = std::min(step, static_cast<std::uint32_t>(now - ideal));
    }
    throttle_percent_ = std::min({throttle_percent_ + step, auto_converge_->max, kMaxThrottle});
}

} // namespace mfd
