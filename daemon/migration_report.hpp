// What query-migrate says of the running or last job. Control thread only.
#pragma once

#include "daemon/job.hpp"
#include "daemon/migration_state.hpp"
#include "proto/error.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace mfd {

enum class JobKind : std::uint8_t { Save, Load };

// For persons; a load is what they call a restore.
[[nodiscard]] constexpr std::string_view name_of(JobKind kind) {
    return kind == JobKind::Save ? "save" : "restore";
}

// The name of the errno, where one is known ("ENOSPC"), else of the code ("bad-format"): few words,
// to count by.
[[nodiscard]] std::string name_of_cause(const Error& error);

struct JobReport {
    using Clock = std::chrono::steady_clock;

    JobKind kind = JobKind::Save;
    std::string id;                        // 32 hexadecimal digits, no other job has it
    std::string uri;                       // of the file
    std::shared_ptr<JobProgress> progress; // nothing: there was no job yet
    std::string error_desc;                // empty: none
    std::string error_cause;               // of a failed job: "ENOSPC", or as name_of_cause() says
    std::size_t blocks = 0;                // of guest RAM
    std::uint64_t ram_bytes = 0;           // all of them
    bool multifd = false;
    std::uint32_t throttle_percent = 0; // of the guest, by auto-converge
    bool waits_for_stop = false;        // announced to the owner of foreign memory
    Clock::time_point started;
    std::optional<Clock::time_point> active_since;  // the set-up ended
    std::optional<Clock::time_point> stopped_since; // the guest stands still
    std::optional<Clock::time_point> ended;
    // What to_json() and details() gave in the process that ran the job; null: it is this one.
    nlohmann::json recorded_reply;
    nlohmann::json recorded_details;
    std::chrono::system_clock::time_point started_at; // for people

    // Of a running job: so far.
    [[nodiscard]] std::chrono::milliseconds duration() const;
    // The reply of query-migrate: the members QEMU gives in each state.
    [[nodiscard]] nlohmann::json to_json(MigrationStatus status) const;
    // The member x-multifd: what each channel did.
    [[nodiscard]] nlohmann::json details() const;

private:
    [[nodiscard]] nlohmann::json ram() const;
    void add_live(nlohmann::json& reply) const;
    [[nodiscard]] std::uint64_t milliseconds(Clock::time_point from,
                                             std::optional<Clock::time_point> to) const;
};

} // namespace mfd
