#include "channels/counters.hpp"

#include <algorithm>
#include <cmath>

namespace mfd {

namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
}

// Buckets 0..3 hold 0..3 us each; from there on every octave [2^k, 2^(k+1)) has four.
std::size_t LatencyHistogram::bucket_of(std::uint64_t us) {
    if (us < 4)
        return static_cast<std::size_t>(us);
    const auto octave = static_cast<unsigned>(std::bit_width(us)) - 1; // at least 2
    const std::uint64_t quarter = us >> (octave - 2) & 3;
    const auto bucket = static_cast<std::size_t>(octave - 1) * 4 + quarter;
    return std::min(bucket, kBuckets - 1);
}

std::uint64_t LatencyHistogram::upper_us(std::size_t bucket) {
    if (bucket < 4)
        return bucket;
    const auto octave = static_cast<unsigned>(bucket / 4 + 1);
    const std::uint64_t quarter = bucket % 4;
    return ((4 + quarter + 1) << (octave - 2)) - 1;
}

void LatencyHistogram::add(std::chrono::nanoseconds duration) {
    const auto signed_us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(signed_us, 0));
    bump(buckets_[bucket_of(us)], 1);
    bump(total_us_, us);
}

std::uint64_t LatencyHistogram::count() const {
    std::uint64_t total = 0;
    for (const auto& bucket : buckets_)
        total += bucket.load(kRelaxed);
    return total;
}

std::uint64_t LatencyHistogram::count_below_power_of_two(unsigned power) const {
    const std::size_t end = std::min(bucket_of(std::uint64_t{1} << power), kBuckets);
    std::uint64_t total = 0;
    for (std::size_t bucket = 0; bucket < end; ++bucket)
        total += buckets_[bucket].load(kRelaxed);
    return total;
}

std::uint64_t LatencyHistogram::percentile_us(double percent) const {
    const auto wanted =
        static_cast<std::uint64_t>(std::ceil(static_cast<double>(count()) * percent / 100.0));
    if (wanted == 0)
        return 0;
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
        seen += buckets_[bucket].load(kRelaxed);
        if (seen >= wanted)
            return upper_us(bucket);
    }
    return upper_us(kBuckets - 1);
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket)
        bump(buckets_[bucket], other.buckets_[bucket].load(kRelaxed));
    bump(total_us_, other.total_us_.load(kRelaxed));
}

void ChannelCounters::merge(const ChannelCounters& other) {
    for (const auto member : {&ChannelCounters::normal_pages, &ChannelCounters::duplicate_pages,
                              &ChannelCounters::bytes, &ChannelCounters::transfers,
                              &ChannelCounters::direct_refusals, &ChannelCounters::queue_wait_us})
        bump(this->*member, (other.*member).load(kRelaxed));
    latency.merge(other.latency);
}

std::uint64_t Counters::sum(std::atomic<std::uint64_t> ChannelCounters::*member) const {
    std::uint64_t total = 0;
    for (const ChannelCounters& channel : channels_)
        total += (channel.*member).load(kRelaxed);
    return total;
}

} // namespace mfd
