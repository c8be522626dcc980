// What the daemon does, as one line for a person: the status that a service manager shows. Control
// thread only.
#pragma once

#include "daemon/migration_report.hpp"
#include "daemon/migration_state.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace mfd {

struct StatusFacts {
    RunStatus run = RunStatus::Running;
    std::size_t blocks = 0; // of guest RAM
    std::uint64_t ram_bytes = 0;
    MigrationStatus migration = MigrationStatus::None;
    const JobReport& job; // the running or last one
};

class StatusLine {
public:
    using Clock = JobReport::Clock;

    // "running, 1.00 GiB in 1 block; last save completed in 3.20 s", or of a running job "saving
    // 42 % at 2.10 GiB/s". The rate is that of the time since the last call, once that is long
    // enough to tell.
    [[nodiscard]] std::string describe(const StatusFacts& facts, Clock::time_point now);

private:
    struct Sample {
        std::string job;
        Clock::time_point taken;
        std::uint64_t bytes = 0;
        std::optional<double> rate; // bytes per second, before it was taken
    };

    [[nodiscard]] std::string describe_job(const StatusFacts& facts, Clock::time_point now);
    [[nodiscard]] std::optional<double> rate_of(const JobReport& job, Clock::time_point now);

    Sample last_;
};

} // namespace mfd
