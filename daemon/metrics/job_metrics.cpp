#include "daemon/metrics/job_metrics.hpp"

#include "proto/checked.hpp"

#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

namespace mfd {

namespace {

constexpr std::array kKinds{JobKind::Save, JobKind::Load};

// Bounds of transfers' durations: 16 us, which fast disks reach, to half a minute, in powers of
// two.
constexpr unsigned kFirstPower = 4;
constexpr unsigned kLastPower = 25;

double seconds_between(JobReport::Clock::time_point from, JobReport::Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

double as_number(bool flag) {
    return flag ? 1 : 0;
}

} // namespace

void SecondsHistogram::add(double seconds) {
    for (std::size_t at = 0; at < kBounds.size(); ++at)
        at_or_below_[at] += seconds <= kBounds[at] ? 1U : 0U;
    ++count_;
    sum_ += seconds;
}

void SecondsHistogram::write(MetricText& out, MetricLabels labels) const {
    std::array<MetricBucket, kBounds.size()> below{};
    for (std::size_t at = 0; at < kBounds.size(); ++at)
        below[at] = {kBounds[at], at_or_below_[at]};
    out.buckets(labels, below, count_, sum_);
}

// What alerts watch is there before it happens, so that the first time counts as an increase.
JobMetrics::JobMetrics() {
    for (Ended& ended : ended_)
        ended.failures = {{"EIO", 0}, {"ENOSPC", 0}};
}

void JobMetrics::note(MigrationStatus status, const JobReport& job) {
    // Jobs of an earlier process were counted by it.
    if (job.progress == nullptr || is_running(status) || status == MigrationStatus::None)
        return;
    Ended& ended = ended_.at(static_cast<std::size_t>(job.kind));
    if (status == MigrationStatus::Completed) {
        ++ended.completed;
        ended.durations.add(std::chrono::duration<double>(job.duration()).count());
        ended.last_completed_s =
            std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
                .count();
        if (job.kind == JobKind::Save && job.ended) {
            last_downtime_s_ = seconds_between(job.stopped_since.value_or(job.started), *job.ended);
            downtimes_.add(last_downtime_s_);
        }
    } else if (status == MigrationStatus::Cancelled) {
        ++ended.cancelled;
    } else {
        ++ended.failed;
        ++ended.failures[job.error_cause.empty() ? "io" : job.error_cause];
    }
    const JobProgress& progress = *job.progress;
    ended.meta_bytes += progress.running_meta_bytes + progress.stopped_meta_bytes;
    while (ended.channels.size() < progress.counters.channels())
        ended.channels.emplace_back();
    for (unsigned channel = 0; channel < progress.counters.channels(); ++channel)
        ended.channels[channel].merge(progress.counters.channel(channel));
}

std::uint64_t JobMetrics::Channel::sum(std::atomic<std::uint64_t> ChannelCounters::*member) const {
    return (before != nullptr ? (before->*member).load() : 0) +
           (now != nullptr ? (now->*member).load() : 0);
}

std::vector<JobMetrics::Channel> JobMetrics::channels(const JobReport* running) const {
    std::vector<Channel> all;
    for (const JobKind kind : kKinds) {
        const auto& before = ended_.at(static_cast<std::size_t>(kind)).channels;
        const Counters* now =
            running != nullptr && running->kind == kind ? &running->progress->counters : nullptr;
        const std::size_t count =
            std::max<std::size_t>(before.size(), now != nullptr ? now->channels() : 0);
        for (std::size_t at = 0; at < count; ++at)
            all.push_back(
                {name_of(kind), std::to_string(at), at < before.size() ? &before[at] : nullptr,
                 now != nullptr && at < now->channels() ? &now->channel(static_cast<unsigned>(at))
                                                        : nullptr});
    }
    return all;
}

void JobMetrics::write(MetricText& out, MigrationStatus status, const JobReport& job) const {
    const JobReport* running = is_running(status) && job.progress != nullptr ? &job : nullptr;
    write_ended(out, running);
    write_running(out, running);
    write_channels(out, channels(running));
}

void JobMetrics::write_ended(MetricText& out, const JobReport* running) const {
    const auto of = [this](JobKind kind) -> const Ended& {
        return ended_.at(static_cast<std::size_t>(kind));
    };
    out.counter("multifdd_jobs", "Saves and restores that have ended, by outcome.");
    for (const JobKind kind : kKinds) {
        out.value({{"kind", name_of(kind)}, {"outcome", "completed"}}, of(kind).completed);
        out.value({{"kind", name_of(kind)}, {"outcome", "failed"}}, of(kind).failed);
        out.value({{"kind", name_of(kind)}, {"outcome", "cancelled"}}, of(kind).cancelled);
    }
    out.counter("multifdd_job_failures",
                "Failed saves and restores, by the errno or kind of error.");
    for (const JobKind kind : kKinds)
        for (const auto& [cause, count] : of(kind).failures)
            out.value({{"kind", name_of(kind)}, {"cause", cause}}, count);
    out.histogram("multifdd_job_duration_seconds", "How long completed saves and restores took.");
    for (const JobKind kind : kKinds)
        of(kind).durations.write(out, {{"kind", name_of(kind)}});
    out.gauge("multifdd_job_last_completed_timestamp_seconds",
              "When the last one completed, since the epoch; 0: none has.");
    for (const JobKind kind : kKinds)
        out.value({{"kind", name_of(kind)}}, of(kind).last_completed_s);
    out.counter("multifdd_metadata_bytes", "Bytes of files that are no pages.");
    for (const JobKind kind : kKinds) {
        std::uint64_t bytes = of(kind).meta_bytes;
        if (running != nullptr && running->kind == kind)
            bytes += running->progress->running_meta_bytes + running->progress->stopped_meta_bytes;
        out.value({{"kind", name_of(kind)}}, bytes);
    }
    out.histogram("multifdd_downtime_seconds", "How long guests stood still for completed saves.");
    downtimes_.write(out, {});
    out.gauge("multifdd_last_downtime_seconds", "The same of the last completed save.");
    out.value({}, last_downtime_s_);
}

// All of it is there while nothing runs, too: a line that ends says less than one at zero.
void JobMetrics::write_running(MetricText& out, const JobReport* running) {
    out.gauge("multifdd_job_running", "1 while a save or a restore runs.");
    for (const JobKind kind : kKinds)
        out.value({{"kind", name_of(kind)}},
                  as_number(running != nullptr && running->kind == kind));
    const auto of_progress = [&](const char* name, const char* help, const auto& value) {
        out.gauge(name, help);
        out.value({}, running != nullptr ? value(*running) : 0);
    };
    of_progress("multifdd_job_total_bytes", "Guest RAM of the running job.",
                [](const JobReport& job) { return job.progress->total_bytes.load(); });
    of_progress("multifdd_job_remaining_bytes", "What this pass of the running job has left.",
                [](const JobReport& job) { return job.progress->remaining_pages() * kPageSize; });
    of_progress("multifdd_job_pass", "The pass over dirty pages of the running save.",
                [](const JobReport& job) { return job.progress->pass.load(); });
    of_progress("multifdd_job_dirty_bytes_per_second",
                "How fast the guest writes memory, as last measured in the running save.",
                [](const JobReport& job) { return job.progress->dirty_pages_rate * kPageSize; });
    of_progress("multifdd_job_throughput_bytes_per_second",
                "How fast pages reach the file, as last measured in the running save.",
                [](const JobReport& job) { return job.progress->bandwidth.load(); });
    of_progress("multifdd_job_not_converging",
                "Looks at dirty pages since the running save came nearer to its end.",
                [](const JobReport& job) { return job.progress->looks_without_progress.load(); });
    out.gauge("multifdd_job_expected_downtime_seconds",
              "How long the guest would stand still if the running save ended now.");
    out.value({}, running != nullptr
                      ? static_cast<double>(running->progress->expected_downtime_ms.load()) / 1000
                      : 0.0);
    out.gauge("multifdd_job_throttle_ratio",
              "Share of its time that auto-converge keeps the guest from writing.");
    out.value({}, running != nullptr ? running->throttle_percent / 100.0 : 0.0);
    out.gauge("multifdd_job_waits_for_stop",
              "1 while the running save waits for the owner of the memory to stop.");
    out.value({}, as_number(running != nullptr && running->waits_for_stop));
}

void JobMetrics::write_channels(MetricText& out, std::span<const Channel> channels) {
    const auto each = [&](std::atomic<std::uint64_t> ChannelCounters::*member) {
        for (const Channel& one : channels)
            out.value({{"kind", one.kind}, {"channel", one.number}}, one.sum(member));
    };
    out.counter("multifdd_channel_bytes", "Bytes of pages moved to or from files.");
    each(&ChannelCounters::bytes);
    out.counter("multifdd_channel_pages", "Pages stored or loaded, and pages found to be zero.");
    for (const Channel& one : channels) {
        out.value({{"kind", one.kind}, {"channel", one.number}, {"type", "normal"}},
                  one.sum(&ChannelCounters::normal_pages));
        out.value({{"kind", one.kind}, {"channel", one.number}, {"type", "zero"}},
                  one.sum(&ChannelCounters::duplicate_pages));
    }
    out.counter("multifdd_channel_direct_refusals",
                "Transfers that went through the page cache, since direct I/O was refused.");
    each(&ChannelCounters::direct_refusals);
    out.counter("multifdd_channel_queue_wait_seconds",
                "Time that channels waited with all their transfers in flight.");
    for (const Channel& one : channels)
        out.value({{"kind", one.kind}, {"channel", one.number}},
                  static_cast<double>(one.sum(&ChannelCounters::queue_wait_us)) / 1e6);
    out.histogram("multifdd_channel_transfer_seconds",
                  "Reads and writes of pages, from start to completion.");
    for (const Channel& one : channels) {
        // The count is what was read last, so that no bucket holds more than all of them.
        std::vector<MetricBucket> below;
        std::uint64_t count = 0;
        double sum = 0;
        for (const ChannelCounters* part : {one.before, one.now}) {
            if (part == nullptr)
                continue;
            below.resize(kLastPower - kFirstPower + 1);
            for (unsigned power = kFirstPower; power <= kLastPower; ++power)
                below[power - kFirstPower].count += part->latency.count_below_power_of_two(power);
            count += part->latency.count();
            sum += static_cast<double>(part->latency.total_us()) / 1e6;
        }
        for (unsigned power = kFirstPower; power <= kLastPower; ++power)
            below[power - kFirstPower].bound = static_cast<double>(std::uint64_t{1} << power) / 1e6;
        out.buckets({{"kind", one.kind}, {"channel", one.number}}, below, count, sum);
    }
}

} // namespace mfd
