// What the running job reports, and how it ends: the state machine's transitions.
#include "daemon/migration_service.hpp"

#include "daemon/service/job_id.hpp"
#include "proto/checked.hpp"

#include <cerrno>
#include <spdlog/spdlog.h>
#include <utility>

namespace mfd {

using Clock = JobReport::Clock;

void MigrationService::begin(JobKind kind, const MigrationAddress& address, Reply reply) {
    runner_.reset(); // so that the memory is free to be tracked
    report_ = JobReport{};
    report_.kind = kind;
    report_.id = make_job_id();
    report_.uri = file_uri(address);
    report_.started_at = std::chrono::system_clock::now();
    report_.progress = std::make_shared<JobProgress>(channel_count());
    report_.multifd = capabilities_.has(Capability::Multifd);
    report_.progress->expected_downtime_ms = parameters_.number("downtime-limit"); // until measured
    report_.started = Clock::now();
    reply_ = std::move(reply);
    hold_ = objects_.memory().hold();
    note_memory();
    set_status(MigrationStatus::Setup);
}

void MigrationService::note_memory() {
    report_.blocks = 0;
    report_.ram_bytes = 0;
    for (const MemoryBackend* block : objects_.memory().blocks()) {
        ++report_.blocks;
        report_.ram_bytes += block->size();
    }
}

void MigrationService::set_status(MigrationStatus status) {
    status_ = status;
    on_status();
    on_change();
    if (capabilities_.has(Capability::Events))
        emit_("MIGRATION", {{"status", name_of(status)}});
}

void MigrationService::give_reply(Result<void> result) {
    if (reply_)
        std::exchange(reply_, {})(std::move(result));
}

void MigrationService::job_opened() {
    give_reply({});
}

void MigrationService::job_active() {
    if (status_ != MigrationStatus::Setup)
        return; // cancelled meanwhile
    report_.active_since = Clock::now();
    set_status(MigrationStatus::Active);
}

void MigrationService::job_pass_started(std::uint64_t pass) {
    if (capabilities_.has(Capability::Events))
        emit_("MIGRATION_PASS", {{"pass", pass}});
}

void MigrationService::job_throttles(std::uint32_t percent) {
    report_.throttle_percent = percent;
    objects_.set_guest_throttle(percent);
    spdlog::info("auto-converge keeps the guest from writing for {} % of its time", percent);
}

void MigrationService::job_needs_stop() {
    if (status_ != MigrationStatus::Active)
        return; // being cancelled
    report_.waits_for_stop = true;
    emit_("X_MULTIFDD_STOP_NEEDED",
          {{"expected-downtime", report_.progress->expected_downtime_ms.load()},
           {"remaining", report_.progress->remaining_pages() * kPageSize}});
}

void MigrationService::job_wants_switchover(Answer<RunStatus> answer) {
    if (status_ != MigrationStatus::Active)
        return; // being cancelled: the job's stop token ends its wait
    run_.enter_finish_migrate();
    // An owner who was asked to stop stands still since then.
    report_.stopped_since =
        std::exchange(report_.waits_for_stop, false) ? run_.run_flag().since() : Clock::now();
    switchover_ = std::move(answer);
    if (capabilities_.has(Capability::PauseBeforeSwitchover))
        set_status(MigrationStatus::PreSwitchover);
    else
        permit_switchover();
}

void MigrationService::permit_switchover() {
    set_status(MigrationStatus::Device);
    if (const auto answer = std::exchange(switchover_, std::nullopt))
        answer->give(run_.status_to_save());
}

Result<std::vector<MemoryBackend*>>
MigrationService::job_wants_blocks(const std::vector<BlockSpec>& listed) {
    partly_loaded_ = true; // what comes next writes to it
    if (settings_.create_blocks) {
        MFD_CHECK(create_blocks(listed));
        on_change();
    }
    return objects_.memory().blocks();
}

Result<void> MigrationService::create_blocks(const std::vector<BlockSpec>& listed) {
    GuestMemory& memory = objects_.memory();
    for (const BlockSpec& block : listed) {
        if (memory.find_block(block.idstr) != nullptr)
            continue;
        BackendProperties properties;
        properties.type = BackendType::Memfd;
        properties.share = true;
        properties.size = block.used_length;
        // An id that is one keeps its name; others ("/rom@etc/acpi/tables") get a plain one.
        if (is_identifier(block.idstr) && memory.find(block.idstr) == nullptr) {
            properties.id = block.idstr;
        } else {
            properties.id = "block" + std::to_string(memory.all().size());
            properties.ramblock = block.idstr;
        }
        MFD_CHECK(memory.add(std::move(properties)));
    }
    return {};
}

void MigrationService::finish_save(const Result<void>& result) {
    const bool cancelled = status_ == MigrationStatus::Cancelling;
    if (result.has_value()) { // also where a cancel came too late: the file is complete
        end_job();
        run_.complete_save();
        set_status(MigrationStatus::Completed);
    } else if (cancelled) {
        if (result.error().code != Errc::Cancelled)
            report_.error_desc = result.error().what;
        end_job();
        run_.give_up_save();
        set_status(MigrationStatus::Cancelled);
    } else {
        run_.give_up_save();
        fail(settings_.files.explain(file_, result.error()));
    }
    give_reply({}); // a cancel that came before the file was open
    if (after_job_)
        std::exchange(after_job_, {})();
}

void MigrationService::finish_load(Result<RestoreJob::Outcome> result, bool exit_on_error) {
    if (result.has_value()) {
        end_job();
        loaded_ = std::move(result->state);
        partly_loaded_ = false;
        died_loading_ = false;
        run_.complete_load(result->saved_status);
        set_status(MigrationStatus::Completed);
    } else if (reply_) {
        incoming_ = Incoming::Waiting; // the file could not be opened: another try may go better
        fail(settings_.files.explain(file_, result.error()));
    } else {
        const Error& error = result.error();
        const int otherwise = error.code == Errc::Cancelled ? ECANCELED : EINVAL;
        const std::string text =
            "load of migration failed: " + errno_text(error.sys != 0 ? error.sys : otherwise) +
            ": " + error.what;
        fail({error.code, text, error.sys});
        if (exit_on_error && !after_job_ && on_fatal)
            on_fatal(text);
    }
    if (after_job_)
        std::exchange(after_job_, {})();
}

// The job is over, whichever way: nothing of it stays, but for a thread that still clears away what
// takes long.
void MigrationService::end_job() {
    report_.ended = Clock::now();
    note_memory(); // a load may have made some
    if (runner_ && !runner_->busy_with_rest())
        runner_.reset();
    switchover_.reset();
    limiter_.reset();
    stop_eventfd_.reset();
    report_.throttle_percent = 0;
    objects_.set_guest_throttle(0);
    hold_.release();
}

void MigrationService::fail(const Error& error) {
    end_job();
    report_.error_desc = error.what;
    report_.error_cause = name_of_cause(error);
    set_status(MigrationStatus::Failed);
    give_reply(Error{Errc::Io, error.what});
}

} // namespace mfd
