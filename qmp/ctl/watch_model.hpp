// What `watch` knows of a server's job, put together from its replies. Pure: time comes in.
#pragma once

#include "qmp/ctl/progress.hpp"
#include "qmp/ctl/text_screen.hpp"
#include "qmp/json.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mfd::ctl {

struct ChannelRate {
    std::uint64_t id = 0;
    std::uint64_t bytes = 0;
    double bytes_per_second = 0; // of late
    std::uint64_t p99_us = 0;    // of its transfers
};

// Members that a server does not tell (QEMU knows no channels, and nothing of a load) are empty.
struct WatchFacts {
    std::string guest;     // its name, may be empty
    std::string run_state; // "running"
    std::string action;    // "save", "restore"
    ProgressSample job;
    std::optional<double> dirty_bytes_per_second;
    std::optional<std::chrono::milliseconds> expected_downtime;
    std::optional<std::uint64_t> throttle_percent;
    bool not_converging = false;
    bool waits_for_stop = false;
    std::vector<ChannelRate> channels;
    std::vector<RatePoint> history; // one point each kHistoryStep
};

class WatchModel {
public:
    static constexpr std::chrono::milliseconds kHistoryStep{500};
    static constexpr std::size_t kHistoryPoints = 512; // more than terminals are wide

    // The replies of query-name, once; of query-status and query-migrate, at `now`, which counts
    // from anywhere.
    void set_name(const qmp::Json& name);
    void update(const qmp::Json& status, const qmp::Json& info, std::chrono::milliseconds now);
    [[nodiscard]] const WatchFacts& facts() const { return facts_; }

private:
    void update_channels(const qmp::Json& details, std::chrono::milliseconds now);
    void note_history(std::chrono::milliseconds now);

    WatchFacts facts_;
    RateMeter meter_;
    std::optional<std::chrono::milliseconds> began_;
    std::optional<std::chrono::milliseconds> last_point_;
    std::chrono::milliseconds channels_since_{0};
    std::vector<ChannelRate> channels_before_;
};

// True while a job runs, whatever it does.
bool is_job_running(const std::string& status);
// "save completed in 3.20 s: 1.00 GiB, 52 744 pages stored, 217 261 zero, downtime 83 ms";
// "save failed: No space left on device"; "no job has run".
std::string verdict_of(const std::string& action, const qmp::Json& info);

} // namespace mfd::ctl
