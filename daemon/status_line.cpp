#include "daemon/status_line.hpp"

#include "proto/checked.hpp"
#include "qmp/units.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>

namespace mfd {

namespace {

// Chosen: a shorter look tells more of single large writes than of the disk.
constexpr std::chrono::milliseconds kRateWindow{500};

std::string_view text_of(RunStatus status) {
    switch (status) {
    case RunStatus::Prelaunch:
        return "not started";
    case RunStatus::Running:
        return "running";
    case RunStatus::Paused:
        return "paused";
    case RunStatus::Inmigrate:
        return "waiting for a restore";
    case RunStatus::FinishMigrate:
    case RunStatus::Postmigrate:
        return "stopped";
    }
    return {};
}

std::string describe_guest(const StatusFacts& facts) {
    std::string line(text_of(facts.run));
    if (facts.blocks == 0)
        return line + ", no memory";
    return line + ", " + format_bytes(facts.ram_bytes) + " in " + std::to_string(facts.blocks) +
           (facts.blocks == 1 ? " block" : " blocks");
}

std::string describe_last_job(MigrationStatus status, const JobReport& job) {
    const std::string last = std::string("last ") + std::string(name_of(job.kind));
    if (status == MigrationStatus::Completed)
        return last + " completed in " + format_time(job.duration());
    if (status == MigrationStatus::Cancelled)
        return last + " cancelled";
    return last + " failed: " + job.error_desc;
}

unsigned percent_done(const JobProgress& progress) {
    const std::uint64_t total = progress.total_bytes / kPageSize;
    if (total == 0)
        return 0;
    const std::uint64_t left = std::min(total, progress.remaining_pages());
    return static_cast<unsigned>(100 * (total - left) / total);
}

} // namespace

std::string StatusLine::describe(const StatusFacts& facts, Clock::time_point now) {
    if (is_running(facts.migration))
        return describe_job(facts, now);
    if (facts.migration == MigrationStatus::None)
        return describe_guest(facts);
    return describe_guest(facts) + "; " + describe_last_job(facts.migration, facts.job);
}

std::string StatusLine::describe_job(const StatusFacts& facts, Clock::time_point now) {
    const JobReport& job = facts.job;
    const bool saves = job.kind == JobKind::Save;
    if (facts.migration == MigrationStatus::Cancelling)
        return "cancelling a save";
    std::string line = saves ? "saving " : "restoring ";
    line += std::to_string(percent_done(*job.progress)) + " %";
    if (const auto rate = rate_of(job, now))
        line += " at " + format_rate(*rate);
    if (facts.migration == MigrationStatus::PreSwitchover)
        line += ", waiting for migrate-continue";
    else if (job.waits_for_stop)
        line += ", waiting for the guest to be stopped";
    else if (job.progress->looks_without_progress != 0)
        line += ", not converging: the guest writes as fast as the save";
    return line;
}

std::optional<double> StatusLine::rate_of(const JobReport& job, Clock::time_point now) {
    const std::uint64_t bytes = job.progress->counters.bytes();
    if (last_.job != job.id)
        last_ = {job.id, job.started, 0, std::nullopt};
    const auto elapsed = now - last_.taken;
    if (elapsed >= kRateWindow) {
        const double seconds = std::chrono::duration<double>(elapsed).count();
        last_ = {job.id, now, bytes, static_cast<double>(bytes - last_.bytes) / seconds};
    }
    return last_.rate;
}

} // namespace mfd
