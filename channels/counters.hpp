// What the workers have done so far. Written by the workers without locks, each in its own
// channel's cache lines; read by anyone at any time. Sums over channels may be a moment out of
// step.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <deque>

namespace mfd {

// Adds to a counter that only this thread writes: without the bus lock of fetch_add, which the page
// loop would feel.
inline void bump(std::atomic<std::uint64_t>& counter, std::uint64_t n) {
    counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

// Durations in buckets that are a quarter of an octave wide, 1 us to over an hour. One thread adds,
// any may read.
class LatencyHistogram {
public:
    void add(std::chrono::nanoseconds duration);
    // Upper bound in microseconds of the bucket where `percent` (0..100] of the values lie at or
    // below; 0 without any values.
    [[nodiscard]] std::uint64_t percentile_us(double percent) const;
    [[nodiscard]] std::uint64_t count() const;
    // Those shorter than 2^power us; power is at least 2.
    [[nodiscard]] std::uint64_t count_below_power_of_two(unsigned power) const;
    [[nodiscard]] std::uint64_t total_us() const { return total_us_.load(); }
    // Adds another one's values to this one: how channels become a total.
    void merge(const LatencyHistogram& other);

private:
    static constexpr std::size_t kBuckets = 128; // four for each of 32 octaves
    static std::size_t bucket_of(std::uint64_t us);
    static std::uint64_t upper_us(std::size_t bucket);
    std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
    std::atomic<std::uint64_t> total_us_{0};
};

struct alignas(64) ChannelCounters {
    std::atomic<std::uint64_t> normal_pages{0};    // stored (or loaded), again in every pass
    std::atomic<std::uint64_t> duplicate_pages{0}; // found zero or known to be
    std::atomic<std::uint64_t> bytes{0};           // moved to or from the file, bridged gaps too
    std::atomic<std::uint64_t> transfers{0};
    std::atomic<std::uint64_t> direct_refusals{0}; // went on through the page cache
    std::atomic<std::uint64_t> queue_wait_us{0}; // waited because all its transfers were in flight
    LatencyHistogram latency;                    // of one transfer, from start to completion

    // Adds another one's numbers to these: how jobs become a total.
    void merge(const ChannelCounters& other);
};

class Counters {
public:
    explicit Counters(unsigned channels) : channels_(channels) {}
    [[nodiscard]] unsigned channels() const { return static_cast<unsigned>(channels_.size()); }
    [[nodiscard]] ChannelCounters& channel(unsigned index) { return channels_[index]; }
    [[nodiscard]] const ChannelCounters& channel(unsigned index) const { return channels_[index]; }

    [[nodiscard]] std::uint64_t normal_pages() const { return sum(&ChannelCounters::normal_pages); }
    [[nodiscard]] std::uint64_t duplicate_pages() const {
        return sum(&ChannelCounters::duplicate_pages);
    }
    [[nodiscard]] std::uint64_t bytes() const { return sum(&ChannelCounters::bytes); }
    [[nodiscard]] std::uint64_t transfers() const { return sum(&ChannelCounters::transfers); }
    [[nodiscard]] std::uint64_t direct_refusals() const {
        return sum(&ChannelCounters::direct_refusals);
    }

private:
    [[nodiscard]] std::uint64_t sum(std::atomic<std::uint64_t> ChannelCounters::*member) const;
    std::deque<ChannelCounters> channels_; // a deque, since atomics do not move
};

} // namespace mfd
