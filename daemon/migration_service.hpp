// The migration of this daemon: capabilities, parameters, the one running or last job, and its
// state. It alone changes the state. Control thread only; jobs report to it there (JobRunner).
#pragma once

#include "channels/fdset.hpp"
#include "channels/rate_limiter.hpp"
#include "daemon/capabilities.hpp"
#include "daemon/guest/guest_objects.hpp"
#include "daemon/job_runner.hpp"
#include "daemon/migration_address.hpp"
#include "daemon/migration_record.hpp"
#include "daemon/migration_report.hpp"
#include "daemon/parameters.hpp"
#include "daemon/restore_job.hpp"
#include "daemon/run_control.hpp"
#include "daemon/sandbox/file_policy.hpp"
#include "daemon/save_job.hpp"
#include "daemon/stop_eventfd.hpp"

#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

// What the command line says that matters to migrations.
struct MigrationSettings {
    std::optional<std::string> machine; // not given: "none", and a load takes what the file says
    std::optional<std::array<std::byte, 16>> uuid;
    bool incoming = false;
    bool create_blocks = false;
    FilePolicy files; // which files clients may name
};

class MigrationService final : private JobRunner::Listener {
public:
    using Emit = std::function<void(std::string_view event, nlohmann::json data)>;
    // The answer to a command that goes on after its handler returned.
    using Reply = std::function<void(Result<void>)>;

    MigrationService(boost::asio::io_context& control, MigrationSettings settings, FdSets& fdsets,
                     GuestObjects& objects, RunControl& run, Emit emit);
    ~MigrationService() override;

    // migrate and migrate-incoming, with checked arguments. The reply comes when the file is open.
    void migrate(const nlohmann::json& arguments, Reply reply);
    void migrate_incoming(const nlohmann::json& arguments, Reply reply);
    // -incoming URI: as migrate-incoming with exit-on-error, mapped-ram switched on.
    void start_incoming(const std::string& uri, Reply reply);
    void cancel();
    Result<void> continue_from(std::string_view expected_status);

    Result<void> set_capabilities(std::span<const Capabilities::Change> changes);
    Result<void> set_parameters(const nlohmann::json& changes);
    [[nodiscard]] const Capabilities& capabilities() const { return capabilities_; }
    [[nodiscard]] const Parameters& parameters() const { return parameters_; }

    [[nodiscard]] MigrationStatus status() const { return status_; }
    [[nodiscard]] bool busy() const { return is_running(status_); }
    // `details`: with the member x-multifd.
    [[nodiscard]] nlohmann::json query(bool details) const;
    [[nodiscard]] std::vector<ThreadInfo> threads() const;

    // cont is refused while memory of others, without a log, is being saved, and when the process
    // before this one died in the middle of a load.
    [[nodiscard]] Result<void> may_run() const;

    // The running or last job.
    [[nodiscard]] const JobReport& report() const { return report_; }
    // Called at every change of status(), before the clients hear of it.
    std::function<void()> on_status = [] {};

    // For the next process of this guest: all that this object knows but loaded().
    [[nodiscard]] MigrationRecord record() const;
    // What the guest's file held besides RAM; nothing if it came from none. Set once, by a load.
    [[nodiscard]] const LoadedState* loaded() const { return loaded_ ? &*loaded_ : nullptr; }
    // Before anything else is called. A job that was running has failed by that.
    Result<void> restore(const MigrationRecord& record, std::optional<LoadedState> loaded);
    // Called when record() or the guest's memory has changed without a command, before the clients
    // hear of it.
    std::function<void()> on_change = [] {};

    // Called once nothing runs any more; at once if nothing does. A running job is cancelled.
    void shut_down(std::function<void()> then);
    // A load with exit-on-error failed: the daemon ends with this text.
    std::function<void(const std::string& text)> on_fatal;

private:
    void job_opened() override;
    void job_active() override;
    void job_pass_started(std::uint64_t pass) override;
    void job_throttles(std::uint32_t percent) override;
    void job_needs_stop() override;
    void job_wants_switchover(Answer<RunStatus> answer) override;
    Result<std::vector<MemoryBackend*>>
    job_wants_blocks(const std::vector<BlockSpec>& listed) override;
    Result<void> create_blocks(const std::vector<BlockSpec>& listed);

    Result<MigrationAddress> check_migrate(const nlohmann::json& arguments) const;
    Result<MigrationAddress> check_transport(Result<MigrationAddress> address) const;
    [[nodiscard]] const MemoryBackend* block_without_log() const; // nullptr: there is none
    Result<void> check_memory() const;
    Result<void> check_whole() const;
    void start_load(const MigrationAddress& address, bool exit_on_error, Reply reply);
    std::unique_ptr<JobRunner> make_runner(const char* thread_name);
    Result<SaveRequest> make_save_request(const MigrationAddress& address);
    Result<void> watch_stop_eventfd();
    Result<RestoreRequest> make_restore_request(const MigrationAddress& address);
    // The file, or the set of descriptors, that an address names.
    Result<FileTarget> resolve(const MigrationAddress& address, FileUse use);
    void begin(JobKind kind, const MigrationAddress& address, Reply reply);
    void note_memory();
    Result<void> restore_settings(const MigrationRecord& record);
    void finish_save(const Result<void>& result);
    void finish_load(Result<RestoreJob::Outcome> result, bool exit_on_error);
    void end_job();
    void set_status(MigrationStatus status);
    void fail(const Error& error); // its text is what clients are told
    void give_reply(Result<void> result);
    void permit_switchover();
    [[nodiscard]] unsigned channel_count() const;
    [[nodiscard]] PageIo page_io() const;
    [[nodiscard]] EngineKind engine_kind() const;
    [[nodiscard]] bool needs_tracking() const;
    [[nodiscard]] GuestStop guest_stop() const;
    [[nodiscard]] std::optional<AutoConverge> auto_converge() const;

    boost::asio::io_context& control_;
    const MigrationSettings settings_;
    FdSets& fdsets_;
    GuestObjects& objects_;
    RunControl& run_;
    Emit emit_;

    Capabilities capabilities_;
    Parameters parameters_;
    Incoming incoming_;
    std::optional<LoadedState> loaded_; // of the file this guest came from
    bool partly_loaded_ = false;        // guest memory is of no use until a load has completed
    bool died_loading_ = false;         // in another process, so that nobody waits for this load

    MigrationStatus status_ = MigrationStatus::None;
    JobReport report_; // of the running or last job
    Reply reply_;      // of the command that started the running job, until it is given
    std::optional<Answer<RunStatus>> switchover_;
    std::function<void()> after_job_;

    // What the running job uses.
    std::atomic<std::uint64_t> downtime_limit_ms_;
    std::unique_ptr<RateLimiter> limiter_;
    std::unique_ptr<StopEventfd> stop_eventfd_;
    std::string file_; // path or fdset
    GuestMemory::Hold hold_;
    std::unique_ptr<JobRunner> runner_; // last: its thread is joined first
};

} // namespace mfd
