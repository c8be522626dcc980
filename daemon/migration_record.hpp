// What of a guest's migrations outlives the process: MigrationService hands it to the one that
// comes after it.
#pragma once

#include "daemon/migration_report.hpp"
#include "daemon/migration_state.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace mfd {

enum class Incoming : std::uint8_t {
    No,
    Waiting, // started to load a guest, and none was asked for yet
    Started, // a load runs, or ran: there is no second one
};

// The running or last job.
struct JobRecord {
    JobKind kind = JobKind::Save;
    std::string id;
    std::string uri;
    std::int64_t started_ms = 0;  // since the epoch
    std::int64_t duration_ms = 0; // once the job has ended
    nlohmann::json reply;         // of query-migrate, once the job has ended; null: it runs
    nlohmann::json details;       // the member x-multifd, likewise
};

struct MigrationRecord {
    std::vector<std::string> capabilities; // those that are on
    nlohmann::json parameters;             // those that were changed
    Incoming incoming = Incoming::No;
    MigrationStatus status = MigrationStatus::None; // Setup stands for all of a running job
    JobRecord job;                                  // unless status is None
    bool partly_loaded = false; // a load has begun to write guest memory and did not get to its end
};

} // namespace mfd
