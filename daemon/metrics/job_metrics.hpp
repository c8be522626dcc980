// What this process' saves and restores have done, counted over all of them: fed with every change
// of a job's state, asked by whoever collects metrics. Control thread.
//
// What a running job's workers count is read where they count it, so nothing is added to their
// work.
#pragma once

#include "channels/counters.hpp"
#include "daemon/metrics/metric_text.hpp"
#include "daemon/migration_report.hpp"
#include "daemon/migration_state.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>

namespace mfd {

// Durations in a few buckets.
class SecondsHistogram {
public:
    void add(double seconds);
    void write(MetricText& out, MetricLabels labels) const;

private:
    static constexpr std::array kBounds{0.01, 0.03, 0.1,   0.3,   1.0,   3.0,
                                        10.0, 30.0, 100.0, 300.0, 1000.0};
    std::array<std::uint64_t, kBounds.size()> at_or_below_{};
    std::uint64_t count_ = 0;
    double sum_ = 0;
};

class JobMetrics {
public:
    JobMetrics();
    // At every change of the state: counts a job when it has ended.
    void note(MigrationStatus status, const JobReport& job);
    // `job` is the running or last one.
    void write(MetricText& out, MigrationStatus status, const JobReport& job) const;

private:
    struct Ended {
        std::uint64_t completed = 0;
        std::uint64_t failed = 0;
        std::uint64_t cancelled = 0;
        std::uint64_t meta_bytes = 0;
        std::map<std::string, std::uint64_t> failures; // by cause
        SecondsHistogram durations;                    // of those completed
        double last_completed_s = 0;                   // since the epoch; 0: there was none
        std::deque<ChannelCounters> channels;
    };
    // A channel over all jobs of one kind: `now` is null while none of these runs.
    struct Channel {
        std::string_view kind;
        std::string number;
        const ChannelCounters* before = nullptr;
        const ChannelCounters* now = nullptr;

        [[nodiscard]] std::uint64_t sum(std::atomic<std::uint64_t> ChannelCounters::*member) const;
    };

    [[nodiscard]] std::vector<Channel> channels(const JobReport* running) const;
    void write_ended(MetricText& out, const JobReport* running) const;
    static void write_running(MetricText& out, const JobReport* running);
    static void write_channels(MetricText& out, std::span<const Channel> channels);

    std::array<Ended, 2> ended_; // by JobKind
    SecondsHistogram downtimes_; // of saves
    double last_downtime_s_ = 0;
};

} // namespace mfd
