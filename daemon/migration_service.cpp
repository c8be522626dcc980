#include "daemon/migration_service.hpp"

#include <utility>

// What clients ask for. What a job gets to know is in migration_requests.cpp, what the jobs report
// in migration_jobs.cpp.
namespace mfd {

namespace {

using Json = nlohmann::json;
using Transport = MigrationAddress::Transport;

constexpr const char* kInProgress = "There's a migration process in progress";

Error wrong_state(std::string text) {
    return Error{Errc::WrongState, std::move(text)};
}

} // namespace

MigrationService::MigrationService(boost::asio::io_context& control, MigrationSettings settings,
                                   FdSets& fdsets, GuestObjects& objects, RunControl& run,
                                   Emit emit)
    : control_(control), settings_(std::move(settings)), fdsets_(fdsets), objects_(objects),
      run_(run), emit_(std::move(emit)),
      incoming_(settings_.incoming ? Incoming::Waiting : Incoming::No),
      downtime_limit_ms_(parameters_.number("downtime-limit")) {}

MigrationService::~MigrationService() = default;

Result<void> MigrationService::set_capabilities(std::span<const Capabilities::Change> changes) {
    if (busy() && report_.kind == JobKind::Save)
        return wrong_state(kInProgress);
    return capabilities_.apply(changes, parameters_.compressed(), parameters_.tls());
}

Result<void> MigrationService::set_parameters(const Json& changes) {
    MFD_CHECK(parameters_.apply(changes, capabilities_.has(Capability::MappedRam),
                                capabilities_.has(Capability::ZeroCopySend)));
    // These two take effect at once; a job keeps all others as they were when it started.
    downtime_limit_ms_ = parameters_.number("downtime-limit");
    // The last pass is not limited.
    if (limiter_ && status_ != MigrationStatus::Device && changes.contains("max-bandwidth"))
        limiter_->set_rate(parameters_.number("max-bandwidth"));
    return {};
}

// The order of the checks is QEMU's, since a client may see any of the texts.
Result<MigrationAddress> MigrationService::check_transport(Result<MigrationAddress> address) const {
    if (!address.has_value())
        return address;
    const bool mapped_ram = capabilities_.has(Capability::MappedRam);
    const bool file = address->transport == Transport::File;
    if (mapped_ram && !file)
        return bad_argument("Migration requires seekable transport (e.g. file)");
    if (capabilities_.has(Capability::Multifd) && address->transport != Transport::Socket &&
        !(mapped_ram && file))
        return bad_argument("Migration requires multi-channel URIs (e.g. tcp)");
    if (!file)
        return bad_argument("unknown migration protocol: " + address->text);
    return address;
}

Result<MigrationAddress> MigrationService::check_migrate(const Json& arguments) const {
    MFD_TRY(MigrationAddress address,
            check_transport(parse_migration_arguments(arguments, /*single_main=*/false)));
    if (arguments.value("resume", false))
        return bad_argument("Cannot resume if there is no paused migration");
    if (busy())
        return wrong_state(kInProgress);
    MFD_CHECK(check_whole());
    if (run_.status() == RunStatus::Inmigrate)
        return wrong_state("Guest is waiting for an incoming migration");
    if (run_.status() == RunStatus::Postmigrate)
        return wrong_state("Can't migrate the vm that was paused due to previous migration");
    if (parameters_.tls())
        return bad_argument("Cannot use TLS with mapped-ram");
    if (parameters_.compressed())
        return bad_argument("Cannot use compression with mapped-ram");
    MFD_CHECK(capabilities_.check_supported());
    if (const auto mode = parameters_.text("mode"); mode != "normal")
        return bad_argument("Parameter 'mode' is '" + mode + "': multifdd saves in mode 'normal'");
    MFD_CHECK(check_memory());
    return address;
}

// Memory that another process writes to can be saved only while it stands still, or with its log.
const MemoryBackend* MigrationService::block_without_log() const {
    for (const MemoryBackend* block : objects_.memory().blocks())
        if (block->foreign() && !block->dirty_log().valid())
            return block;
    return nullptr;
}

Result<void> MigrationService::check_memory() const {
    const MemoryBackend* block = run_.running() ? block_without_log() : nullptr;
    if (block == nullptr)
        return {};
    return wrong_state("RAM block '" + block->block_name() +
                       "' is the memory of another process and has no dirty log "
                       "(x-dirty-log): stop the guest before it is saved");
}

Result<void> MigrationService::check_whole() const {
    if (!died_loading_ || busy())
        return {};
    return wrong_state("the guest's memory is loaded in part only, since the daemon was restarted "
                       "or ended during a load: load it again (migrate-incoming)");
}

Result<void> MigrationService::may_run() const {
    MFD_CHECK(check_whole());
    const bool saving = busy() && report_.kind == JobKind::Save;
    const MemoryBackend* block = saving ? block_without_log() : nullptr;
    if (block == nullptr)
        return {};
    return wrong_state("RAM block '" + block->block_name() +
                       "' is being saved and has no dirty log (x-dirty-log): the guest "
                       "cannot run until the save has ended");
}

void MigrationService::migrate(const Json& arguments, Reply reply) {
    const auto address = check_migrate(arguments);
    if (!address.has_value())
        return reply(address.error());
    begin(JobKind::Save, *address, std::move(reply));
    auto request = make_save_request(*address);
    if (!request.has_value())
        return fail(request.error());
    runner_ = make_runner("mig/src/main");
    runner_->run<void>(
        [request = std::make_shared<SaveRequest>(std::move(*request)),
         progress = report_.progress](JobHost& host, const std::stop_token& stop) {
            return SaveJob(std::move(*request), host, *progress).run(stop);
        },
        [this](const Result<void>& result) { finish_save(result); });
}

void MigrationService::migrate_incoming(const Json& arguments, Reply reply) {
    if (incoming_ == Incoming::No)
        return reply(wrong_state("'-incoming' was not specified on the command line"));
    if (incoming_ == Incoming::Started)
        return reply(wrong_state("The incoming migration has already been started"));
    const auto address =
        check_transport(parse_migration_arguments(arguments, /*single_main=*/true));
    if (!address.has_value())
        return reply(address.error());
    start_load(*address, arguments.value("exit-on-error", true), std::move(reply));
}

void MigrationService::start_incoming(const std::string& uri, Reply reply) {
    constexpr Capabilities::Change kNeeded[] = {{Capability::MappedRam, true},
                                                {Capability::Multifd, true}};
    if (auto set = set_capabilities(kNeeded); !set.has_value())
        return reply(std::move(set));
    const auto address = check_transport(parse_migration_uri(uri));
    if (!address.has_value())
        return reply(address.error());
    start_load(*address, true, std::move(reply));
}

void MigrationService::start_load(const MigrationAddress& address, bool exit_on_error,
                                  Reply reply) {
    // A load without mapped-ram is let through, since it is the file that contradicts it.
    if (capabilities_.has(Capability::MappedRam))
        if (auto supported = capabilities_.check_supported(); !supported.has_value())
            return reply(std::move(supported));
    incoming_ = Incoming::Started;
    begin(JobKind::Load, address, std::move(reply));
    auto request = make_restore_request(address);
    if (!request.has_value()) {
        incoming_ = Incoming::Waiting; // nothing was loaded: another try may go better
        return fail(request.error());
    }
    runner_ = make_runner("mig/dst/main");
    runner_->run<RestoreJob::Outcome>(
        [request = std::make_shared<RestoreRequest>(std::move(*request)),
         progress = report_.progress](JobHost& host, const std::stop_token& stop) {
            return RestoreJob(std::move(*request), host, *progress).run(stop);
        },
        [this, exit_on_error](Result<RestoreJob::Outcome> result) {
            finish_load(std::move(result), exit_on_error);
        });
}

std::unique_ptr<JobRunner> MigrationService::make_runner(const char* thread_name) {
    JobRunner::Listener& listener = *this;
    return std::make_unique<JobRunner>(control_, listener, thread_name);
}

void MigrationService::cancel() {
    if (!busy() || report_.kind == JobKind::Load)
        return;
    set_status(MigrationStatus::Cancelling);
    runner_->cancel();
}

Result<void> MigrationService::continue_from(std::string_view expected_status) {
    if (status_ != MigrationStatus::PreSwitchover || expected_status != name_of(status_))
        return wrong_state("Migration not in expected state: " + std::string(name_of(status_)));
    permit_switchover();
    return {};
}

Json MigrationService::query(bool details) const {
    Json reply = report_.to_json(status_);
    if (details)
        reply["x-multifd"] = report_.details();
    return reply;
}

std::vector<ThreadInfo> MigrationService::threads() const {
    if (!busy() || runner_ == nullptr)
        return {};
    std::vector<ThreadInfo> threads = {runner_->thread()};
    const auto workers = report_.progress->threads();
    threads.insert(threads.end(), workers.begin(), workers.end());
    return threads;
}

void MigrationService::shut_down(std::function<void()> then) {
    if (!busy())
        return then();
    after_job_ = std::move(then);
    cancel();
    runner_->cancel(); // a load, which the command leaves alone
}

} // namespace mfd
