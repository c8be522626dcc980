#include "daemon/job_log.hpp"

#include "qmp/units.hpp"

#include <string>

namespace mfd {

namespace {

namespace level = spdlog::level;

// "file:/x, 2 blocks, 1.00 GiB of RAM"
std::string describe(const JobReport& job) {
    return job.uri + ", " + std::to_string(job.blocks) + (job.blocks == 1 ? " block" : " blocks") +
           ", " + format_bytes(job.ram_bytes) + " of RAM";
}

// "file:/x, 2 blocks, 1.00 GiB of RAM, 306.00 MiB written in 3.20 s"
std::string describe_end(const JobReport& job) {
    const Counters& counters = job.progress->counters;
    std::string text = describe(job) + ", " + format_bytes(counters.bytes()) +
                       (job.kind == JobKind::Save ? " written in " : " read in ") +
                       format_time(job.duration());
    if (const std::uint64_t refused = counters.direct_refusals(); refused != 0)
        text += ", of which " + std::to_string(refused) +
                " transfers through the page cache, since direct I/O was refused";
    return text;
}

LogFields fields_of(const JobReport& job, std::string_view message_id) {
    return {{"MESSAGE_ID", std::string(message_id)},
            {"MULTIFD_OPERATION", std::string(name_of(job.kind))},
            {"MULTIFD_URI", job.uri},
            {"MULTIFD_BLOCKS", std::to_string(job.blocks)},
            {"MULTIFD_RAM_BYTES", std::to_string(job.ram_bytes)}};
}

LogFields fields_of_end(const JobReport& job, std::string_view message_id) {
    LogFields fields = fields_of(job, message_id);
    fields.emplace_back("MULTIFD_FILE_BYTES", std::to_string(job.progress->counters.bytes()));
    fields.emplace_back("MULTIFD_DURATION_MS", std::to_string(job.duration().count()));
    return fields;
}

} // namespace

void log_job(Log& log, MigrationStatus status, const JobReport& job) {
    const std::string operation(name_of(job.kind));
    log.set_job(job.id);
    switch (status) {
    case MigrationStatus::Setup:
        log.event(level::info, operation + " started: " + describe(job),
                  fields_of(job, kJobStartedId));
        break;
    case MigrationStatus::Completed:
        log.event(level::info,
                  operation + " completed: " + describe_end(job) +
                      (job.progress->verified ? ", checksums compared" : ""),
                  fields_of_end(job, kJobCompletedId));
        break;
    case MigrationStatus::Failed: {
        LogFields fields = fields_of_end(job, kJobFailedId);
        fields.emplace_back("MULTIFD_REASON", job.error_desc);
        log.event(level::err, operation + " failed: " + describe_end(job) + ": " + job.error_desc,
                  fields);
        break;
    }
    case MigrationStatus::Cancelled: {
        LogFields fields = fields_of_end(job, kJobCancelledId);
        fields.emplace_back("MULTIFD_REASON", "cancelled");
        log.event(level::info, operation + " cancelled: " + describe_end(job), fields);
        break;
    }
    case MigrationStatus::None:
    case MigrationStatus::Active:
    case MigrationStatus::PreSwitchover:
    case MigrationStatus::Device:
    case MigrationStatus::Cancelling:
        break;
    }
}

} // namespace mfd
