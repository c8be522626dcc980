// What a live save learns from each look at the dirty pages: how fast the file takes pages, how
// fast the guest dirties them, whether the rest fits the downtime limit, how far auto-converge
// throttles the guest, and whether the save comes nearer to its end at all. The rules are QEMU's
// (ram.c, migration.c) but for the last. Arithmetic alone, times are given; job thread.
#pragma once

#include "daemon/pass_cost.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace mfd {

// The parameters of auto-converge, in percent.
struct AutoConverge {
    std::uint32_t trigger_threshold = 50; // of what was written that the guest may dirty meanwhile
    std::uint32_t initial = 20;
    std::uint32_t increment = 10;
    std::uint32_t max = 99;
    bool tailslow = false; // the last steps no larger than seems to be needed
};

// From one look at the dirty pages to the next.
struct LookInterval {
    std::chrono::duration<double> time{0};
    std::uint64_t stored_bytes = 0;  // of pages written, each counted for itself
    std::uint64_t transfers = 0;     // it took to write them
    std::uint64_t checked_bytes = 0; // of all pages of the pass, zero ones too
    std::uint64_t dirtied_bytes = 0; // by the guest
    std::uint64_t remaining_bytes = 0;
    std::uint64_t remaining_runs = 0; // of neighbouring pages; a transfer each at most
};

class Convergence {
public:
    // Nothing: the guest is never throttled.
    explicit Convergence(std::optional<AutoConverge> auto_converge)
        : auto_converge_(auto_converge) {}

    void add(const LookInterval& interval);

    // Bytes of pages per second that the file takes; 0 until measured.
    [[nodiscard]] double bandwidth() const { return bandwidth_; }
    [[nodiscard]] std::uint64_t dirty_pages_per_second() const { return dirty_pages_rate_; }
    // How long what remains will take at `bytes_per_second`, or as the passes so far tell if 0.
    [[nodiscard]] std::chrono::duration<double> expected_downtime(double bytes_per_second) const;
    // 0: not throttled (yet).
    [[nodiscard]] std::uint32_t throttle_percent() const { return throttle_percent_; }
    // Looks since the rest last became noticeably less, once they are too many; 0: it converges.
    [[nodiscard]] std::uint64_t looks_without_progress() const;

private:
    void measure_bandwidth(const LookInterval& interval);
    void follow_progress(std::uint64_t remaining_bytes);
    void watch_dirty_rate(const LookInterval& interval);
    void throttle_further();

    const std::optional<AutoConverge> auto_converge_;
    PassCost cost_;
    double bandwidth_ = 0;
    std::uint64_t dirty_pages_rate_ = 0;
    std::uint64_t remaining_bytes_ = 0;
    std::uint64_t remaining_runs_ = 0;
    std::optional<std::uint64_t> least_remaining_bytes_; // as of the last progress
    std::uint64_t looks_since_progress_ = 0;
    std::uint32_t throttle_percent_ = 0;
    unsigned high_periods_ = 0; // in which the guest dirtied too much, since the last throttling
    LookInterval sample_;       // collected until the bandwidth can be told from it
    LookInterval period_;       // collected until auto-converge looks at it
};

} // namespace mfd
