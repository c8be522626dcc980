#include "daemon/status_line.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>

using mfd::JobKind;
using mfd::JobReport;
using mfd::MigrationStatus;
using mfd::RunStatus;
using mfd::StatusLine;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
const StatusLine::Clock::time_point kStart{1000s};

// A job of 1 GiB by one channel.
JobReport job_of(JobKind kind) {
    JobReport job;
    job.kind = kind;
    job.id = "0123";
    job.started = kStart;
    job.progress = std::make_shared<mfd::JobProgress>(1);
    job.progress->total_bytes = kGiB;
    job.progress->set_remaining(kGiB / 4096);
    return job;
}

void move_pages(const JobReport& job, std::uint64_t pages) {
    auto& channel = job.progress->counters.channel(0);
    channel.normal_pages += pages;
    channel.bytes += pages * 4096;
}

std::string line(const JobReport& job, MigrationStatus status, RunStatus run = RunStatus::Running) {
    return StatusLine().describe(
        {.run = run, .blocks = 1, .ram_bytes = kGiB, .migration = status, .job = job}, kStart);
}

} // namespace

TEST_CASE("without a job the status tells of the guest", "[status_line]") {
    const JobReport none;
    CHECK(line(none, MigrationStatus::None) == "running, 1.00 GiB in 1 block");
    CHECK(line(none, MigrationStatus::None, RunStatus::Inmigrate) ==
          "waiting for a restore, 1.00 GiB in 1 block");
    CHECK(StatusLine().describe(
              {.run = RunStatus::Paused, .blocks = 2, .ram_bytes = 8192, .job = none}, kStart) ==
          "paused, 8.00 KiB in 2 blocks");
    CHECK(StatusLine().describe({.job = none}, kStart) == "running, no memory");
}

TEST_CASE("a running job shows its share and the rate since the last look", "[status_line]") {
    const JobReport job = job_of(JobKind::Save);
    StatusLine status;
    const auto at = [&](std::chrono::milliseconds after) {
        return status.describe({.migration = MigrationStatus::Active, .job = job}, kStart + after);
    };
    CHECK(at(0ms) == "saving 0 %");
    move_pages(job, 110101); // just over 42 %
    CHECK(at(100ms) == "saving 42 %");
    CHECK(at(1s) == "saving 42 % at 430.08 MiB/s");
    move_pages(job, 65536);
    CHECK(at(1100ms) == "saving 67 % at 430.08 MiB/s"); // too soon for another rate
    CHECK(at(2s) == "saving 67 % at 256.00 MiB/s");
    CHECK(at(3s) == "saving 67 % at 0 B/s"); // a disk that hangs
    job.progress->looks_without_progress = 3;
    CHECK(at(3s) == "saving 67 % at 0 B/s, not converging: the guest writes as fast as the save");
}

TEST_CASE("the rate of one job is not taken for that of the next", "[status_line]") {
    StatusLine status;
    JobReport job = job_of(JobKind::Save);
    move_pages(job, 1000);
    (void)status.describe({.migration = MigrationStatus::Active, .job = job}, kStart + 1s);
    job = job_of(JobKind::Load);
    job.id = "4567";
    job.started = kStart + 2s;
    CHECK(status.describe({.migration = MigrationStatus::Setup, .job = job}, kStart + 2s) ==
          "restoring 0 %");
}

TEST_CASE("a job that waits says for what", "[status_line]") {
    JobReport job = job_of(JobKind::Save);
    CHECK(line(job, MigrationStatus::PreSwitchover) == "saving 0 %, waiting for migrate-continue");
    CHECK(line(job, MigrationStatus::Cancelling) == "cancelling a save");
    job.waits_for_stop = true;
    CHECK(line(job, MigrationStatus::Active) == "saving 0 %, waiting for the guest to be stopped");
}

TEST_CASE("a job that ended stays in the status with how it ended", "[status_line]") {
    JobReport job = job_of(JobKind::Load);
    job.ended = kStart + 3200ms;
    CHECK(line(job, MigrationStatus::Completed) ==
          "running, 1.00 GiB in 1 block; last restore completed in 3.20 s");
    CHECK(line(job, MigrationStatus::Cancelled) ==
          "running, 1.00 GiB in 1 block; last restore cancelled");
    job.error_desc = "No space left on device";
    CHECK(line(job, MigrationStatus::Failed) ==
          "running, 1.00 GiB in 1 block; last restore failed: No space left on device");
}
