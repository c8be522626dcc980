#include "daemon/migration_report.hpp"

#include "proto/checked.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace mfd {

namespace {

using Json = nlohmann::json;

Json channel_json(const ChannelCounters& channel, unsigned index) {
    const auto percentile = [&](double percent) { return channel.latency.percentile_us(percent); };
    return {
        {"id", index},
        {"bytes", channel.bytes.load()},
        {"normal", channel.normal_pages.load()},
        {"duplicate", channel.duplicate_pages.load()},
        {"transfers", channel.transfers.load()},
        {"queue-wait-us", channel.queue_wait_us.load()},
        {"latency-us",
         {{"p50", percentile(50)},
          {"p90", percentile(90)},
          {"p99", percentile(99)},
          {"max", percentile(100)}}},
    };
}

} // namespace

std::string name_of_cause(const Error& error) {
    if (const char* name = error.sys > 0 ? ::strerrorname_np(error.sys) : nullptr)
        return name;
    switch (error.code) {
    case Errc::Io:
        return "io";
    case Errc::BadFormat:
        return "bad-format";
    case Errc::BadArgument:
        return "bad-argument";
    case Errc::Unsupported:
        return "unsupported";
    case Errc::WrongState:
        return "wrong-state";
    case Errc::NotFound:
        return "not-found";
    case Errc::Cancelled:
        return "cancelled";
    }
    return "io";
}

std::uint64_t JobReport::milliseconds(Clock::time_point from,
                                      std::optional<Clock::time_point> to) const {
    const auto end = to.value_or(ended.value_or(Clock::now()));
    return static_cast<std::uint64_t>(std::max<std::int64_t>(
        0, std::chrono::duration_cast<std::chrono::milliseconds>(end - from).count()));
}

std::chrono::milliseconds JobReport::duration() const {
    return std::chrono::milliseconds(milliseconds(started, ended));
}

Json JobReport::ram() const {
    const Counters& counters = progress->counters;
    const std::uint64_t normal = counters.normal_pages();
    const std::uint64_t duplicate = counters.duplicate_pages();
    const std::uint64_t running_bytes = progress->running_meta_bytes;
    const std::uint64_t stopped_bytes = progress->stopped_meta_bytes;
    const std::uint64_t transferred = counters.bytes() + running_bytes + stopped_bytes;
    const double seconds =
        std::chrono::duration<double>(ended.value_or(Clock::now()) - started).count();
    const auto per_second = [&](double amount) { return seconds > 0 ? amount / seconds : 0.0; };
    return {
        {"total", progress->total_bytes.load()},
        {"page-size", kPageSize},
        {"remaining", ended ? 0 : progress->remaining_pages() * kPageSize},
        {"normal", normal},
        {"normal-bytes", normal * kPageSize},
        {"duplicate", duplicate},
        {"transferred", transferred},
        {"multifd-bytes", multifd ? normal * kPageSize : 0},
        {"precopy-bytes", running_bytes},
        {"downtime-bytes", stopped_bytes},
        {"dirty-sync-count", progress->pass.load()},
        {"dirty-pages-rate", progress->dirty_pages_rate.load()},
        {"pages-per-second",
         static_cast<std::uint64_t>(per_second(static_cast<double>(normal + duplicate)))},
        {"mbps", per_second(static_cast<double>(transferred) * 8 / 1e6)},
        {"postcopy-requests", 0},
        {"postcopy-bytes", 0},
        {"dirty-sync-missed-zero-copy", 0},
    };
}

// Members that appear only when there is something to say, the first as in QEMU.
void JobReport::add_live(Json& reply) const {
    if (throttle_percent != 0)
        reply["cpu-throttle-percentage"] = throttle_percent;
    if (waits_for_stop)
        reply["x-waits-for-stop"] = true;
    else if (const std::uint64_t looks = progress->looks_without_progress; looks != 0)
        reply["x-not-converging"] = {{"looks", looks}, {"bandwidth", progress->bandwidth.load()}};
}

Json JobReport::to_json(MigrationStatus status) const {
    if (!recorded_reply.is_null())
        return recorded_reply;
    if (progress == nullptr)
        return Json::object();
    Json reply = {{"status", name_of(status)}};
    if (!error_desc.empty())
        reply["error-desc"] = error_desc;
    if (kind == JobKind::Load)
        return reply;
    const bool under_way = is_running(status) && status != MigrationStatus::Setup;
    if (!under_way && status != MigrationStatus::Completed)
        return reply;
    reply["total-time"] = milliseconds(started, ended);
    reply["setup-time"] = milliseconds(started, active_since);
    if (status == MigrationStatus::Completed) {
        reply["downtime"] = milliseconds(stopped_since.value_or(started), ended);
    } else {
        reply["expected-downtime"] = progress->expected_downtime_ms.load();
        add_live(reply);
    }
    reply["ram"] = ram();
    return reply;
}

Json JobReport::details() const {
    if (!recorded_details.is_null())
        return recorded_details;
    Json channels = Json::array();
    if (progress == nullptr)
        return {{"channels", channels}};
    const Counters& counters = progress->counters;
    LatencyHistogram total;
    for (unsigned i = 0; i < counters.channels(); ++i) {
        channels.push_back(channel_json(counters.channel(i), i));
        total.merge(counters.channel(i).latency);
    }
    Json details = {
        {"channels", std::move(channels)},
        {"bytes", counters.bytes()},
        {"latency-us",
         {{"p50", total.percentile_us(50)},
          {"p90", total.percentile_us(90)},
          {"p99", total.percentile_us(99)},
          {"max", total.percentile_us(100)}}},
    };
    if (kind == JobKind::Load) {
        details["ram"] = ram();
        details["verified"] = progress->verified.load();
    }
    return details;
}

} // namespace mfd
