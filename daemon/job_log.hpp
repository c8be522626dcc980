// The log messages that frame a job: started, and how it ended. In the journal each has a
// MESSAGE_ID of its own and the fields MULTIFD_OPERATION (save, restore), MULTIFD_URI,
// MULTIFD_BLOCKS and MULTIFD_RAM_BYTES; one that ends a job has MULTIFD_FILE_BYTES (moved to or
// from the file), MULTIFD_DURATION_MS and, unless it completed, MULTIFD_REASON besides. Control
// thread only.
#pragma once

#include "daemon/migration_report.hpp"
#include "daemon/migration_state.hpp"
#include "daemon/service/log.hpp"

#include <string_view>

namespace mfd {

// Chosen at random, explained in systemd/multifdd.catalog. They never change.
inline constexpr std::string_view kJobStartedId = "9ce46d47e33a41949f5cfad614fc5e0f";
inline constexpr std::string_view kJobCompletedId = "4f5d4b5f0e8346a6bd7ce90aedd9653d";
inline constexpr std::string_view kJobFailedId = "a95bbf1d56ab441d8cd5f4a7c9a70735";
inline constexpr std::string_view kJobCancelledId = "7ad865d7982b44cbbedf48bfa886daf1";

// `job` has come to `status`: logs the states in which a job starts or ends, and none between.
void log_job(Log& log, MigrationStatus status, const JobReport& job);

} // namespace mfd
