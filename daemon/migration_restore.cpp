// How the migrations of a guest go on in another process.
#include "daemon/migration_service.hpp"

#include <algorithm>
#include <spdlog/spdlog.h>
#include <utility>

namespace mfd {

namespace {
using Clock = JobReport::Clock;
using Json = nlohmann::json;
} // namespace

MigrationRecord MigrationService::record() const {
    MigrationRecord record;
    const auto table = capability_table();
    for (std::size_t i = 0; i < table.size(); ++i)
        if (capabilities_.has(static_cast<Capability>(i)))
            record.capabilities.emplace_back(table[i].name);
    record.parameters = parameters_.changed_values();
    record.incoming = incoming_;
    record.partly_loaded = partly_loaded_;
    record.status = busy() ? MigrationStatus::Setup : status_;
    if (status_ == MigrationStatus::None)
        return record;
    record.job = {.kind = report_.kind,
                  .id = report_.id,
                  .uri = report_.uri,
                  .started_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                    report_.started_at.time_since_epoch())
                                    .count(),
                  .duration_ms = 0,
                  .reply = nullptr,
                  .details = nullptr};
    if (!busy()) {
        record.job.duration_ms = report_.duration().count();
        record.job.reply = report_.to_json(status_);
        record.job.details = report_.details();
    }
    return record;
}

Result<void> MigrationService::restore_settings(const MigrationRecord& record) {
    const auto table = capability_table();
    std::vector<Capabilities::Change> changes;
    for (const std::string& name : record.capabilities) {
        const auto known = std::ranges::find(table, name, &CapabilityInfo::name);
        if (known == table.end())
            return Error{Errc::Unsupported, "capability '" + name + "' is not known here"};
        changes.emplace_back(static_cast<Capability>(known - table.begin()), true);
    }
    for (const auto& [name, value] : record.parameters.items())
        if (std::ranges::find(parameter_table(), name, &ParameterInfo::name) ==
            parameter_table().end())
            return Error{Errc::Unsupported, "parameter '" + name + "' is not known here"};
    // What one process accepted in some order is in force, whatever order it takes to get there.
    MFD_CHECK(capabilities_.apply(changes, false, false));
    MFD_CHECK(parameters_.apply(record.parameters, false, false));
    downtime_limit_ms_ = parameters_.number("downtime-limit");
    return {};
}

Result<void> MigrationService::restore(const MigrationRecord& record,
                                       std::optional<LoadedState> loaded) {
    MFD_CHECK(restore_settings(record));
    incoming_ = record.incoming;
    loaded_ = std::move(loaded);
    partly_loaded_ = record.partly_loaded;
    if (record.status == MigrationStatus::None)
        return {};
    const bool interrupted = is_running(record.status);
    status_ = interrupted ? MigrationStatus::Failed : record.status;
    report_.kind = record.job.kind;
    report_.id = record.job.id;
    report_.uri = record.job.uri;
    report_.started_at =
        std::chrono::system_clock::time_point(std::chrono::milliseconds(record.job.started_ms));
    report_.progress = std::make_shared<JobProgress>(0U);
    report_.ended = Clock::now();
    report_.started = *report_.ended - std::chrono::milliseconds(record.job.duration_ms);
    const bool load = report_.kind == JobKind::Load;
    if (interrupted) {
        report_.error_desc = "the daemon was restarted while the " +
                             std::string(load ? "load from " : "save to ") + report_.uri + " ran";
        partly_loaded_ = partly_loaded_ || load;
    } else {
        report_.recorded_reply = record.job.reply;
        report_.recorded_details = record.job.details;
        report_.error_desc = record.job.reply.value("error-desc", std::string());
    }
    died_loading_ = partly_loaded_;
    // With a new process comes a new try.
    if (load && status_ == MigrationStatus::Failed)
        incoming_ = Incoming::Waiting;
    note_memory();
    if (interrupted)
        on_status();
    return {};
}

} // namespace mfd
