#include "qmp/ctl/watch_model.hpp"

#include "qmp/ctl/reply_fields.hpp"
#include "qmp/units.hpp"

#include <algorithm>

namespace mfd::ctl {

using qmp::Json;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kChannelWindow{1000};

milliseconds time_in(const Json& object, const char* name) {
    return milliseconds(static_cast<std::int64_t>(number_in(object, name)));
}

// Of a load multifdd tells the numbers beside QEMU's members, which have none.
Json ram_of(const Json& info) {
    auto ram = object_in(info, "ram");
    return ram.empty() ? object_in(object_in(info, "x-multifd"), "ram") : ram;
}

} // namespace

bool is_job_running(const std::string& status) {
    return !status.empty() && status != "none" && status != "completed" && status != "failed" &&
           status != "cancelled";
}

void WatchModel::set_name(const Json& name) {
    facts_.guest = printable(text_in(name, "name"));
}

void WatchModel::update(const Json& status, const Json& info, milliseconds now) {
    facts_.run_state = text_in(status, "status");
    const bool runs = is_job_running(text_in(info, "status"));
    if (runs && !is_job_running(facts_.job.status)) { // another job than the one before
        const auto guest = facts_.guest;
        *this = WatchModel();
        facts_.guest = guest;
        facts_.run_state = text_in(status, "status");
        began_ = now;
    }
    // A job that began to restore a guest has ended in another state.
    if (runs || facts_.action.empty())
        facts_.action = facts_.run_state == "inmigrate" ? "restore" : "save";
    Json with_ram = info;
    const auto ram = ram_of(info);
    if (!ram.empty())
        with_ram["ram"] = ram;
    const auto total_time = time_in(info, "total-time");
    const auto watched = now - began_.value_or(now);
    facts_.job = make_sample(with_ram, total_time.count() > 0 ? total_time : watched);
    facts_.job.bytes_per_second = meter_.update(facts_.job);

    facts_.dirty_bytes_per_second.reset();
    if (ram.contains("dirty-pages-rate")) {
        const auto page = std::max<std::uint64_t>(number_in(ram, "page-size"), 1);
        facts_.dirty_bytes_per_second =
            static_cast<double>(number_in(ram, "dirty-pages-rate")) * static_cast<double>(page);
    }
    facts_.expected_downtime.reset();
    if (info.contains("expected-downtime"))
        facts_.expected_downtime = time_in(info, "expected-downtime");
    facts_.throttle_percent.reset();
    if (info.contains("cpu-throttle-percentage"))
        facts_.throttle_percent = number_in(info, "cpu-throttle-percentage");
    facts_.not_converging = info.contains("x-not-converging");
    facts_.waits_for_stop = flag_in(info, "x-waits-for-stop");
    update_channels(object_in(info, "x-multifd"), now);
    if (runs)
        note_history(now);
}

void WatchModel::update_channels(const Json& details, milliseconds now) {
    std::vector<ChannelRate> channels;
    for (const auto& entry : array_in(details, "channels"))
        channels.push_back({number_in(entry, "id"), number_in(entry, "bytes"), 0,
                            number_in(object_in(entry, "latency-us"), "p99")});
    if (channels_before_.size() != channels.size()) {
        channels_before_ = channels;
        channels_since_ = now;
    }
    const double seconds = std::chrono::duration<double>(now - channels_since_).count();
    for (std::size_t at = 0; at < channels.size(); ++at) {
        const std::uint64_t before = channels_before_[at].bytes;
        if (seconds > 0 && channels[at].bytes >= before)
            channels[at].bytes_per_second =
                static_cast<double>(channels[at].bytes - before) / seconds;
    }
    facts_.channels = channels;
    if (now - channels_since_ >= kChannelWindow) {
        channels_before_ = std::move(channels);
        channels_since_ = now;
    }
}

void WatchModel::note_history(milliseconds now) {
    if (last_point_ && now - *last_point_ < kHistoryStep)
        return;
    last_point_ = now;
    if (facts_.history.size() == kHistoryPoints)
        facts_.history.erase(facts_.history.begin());
    facts_.history.push_back(
        {facts_.job.bytes_per_second, facts_.dirty_bytes_per_second.value_or(0)});
}

std::string verdict_of(const std::string& action, const Json& info) {
    const auto status = text_in(info, "status");
    if (status.empty() || status == "none")
        return "no job has run";
    if (status != "completed") {
        const auto reason = text_in(info, "error-desc");
        return action + " " + status + (reason.empty() ? "" : ": " + reason);
    }
    std::string text = action + " completed";
    if (const auto time = time_in(info, "total-time"); time.count() > 0)
        text += " in " + format_time(time);
    if (const auto ram = ram_of(info); !ram.empty())
        text += ": " + format_bytes(number_in(ram, "total")) + ", " +
                format_count(number_in(ram, "normal")) + " pages " +
                (action == "save" ? "stored" : "loaded") + ", " +
                format_count(number_in(ram, "duplicate")) + " zero";
    if (info.contains("downtime"))
        text += ", downtime " + format_time(time_in(info, "downtime"));
    return text;
}

} // namespace mfd::ctl
