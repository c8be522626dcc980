#include "daemon/daemon.hpp"

#include "daemon/job_log.hpp"
#include "daemon/version.hpp"
#include "qmp/reference.hpp"

#include <boost/system/error_code.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <spdlog/spdlog.h>
#include <utility>

#include <fcntl.h>

namespace mfd {

namespace {

// How long the end waits for a job that does not stop, because its disk hangs: a chosen limit.
constexpr std::chrono::seconds kGiveUpAfter{20};

MigrationSettings migration_settings(const Options& options) {
    MigrationSettings settings;
    settings.machine = options.machine;
    settings.uuid = options.uuid_bytes;
    settings.incoming = !options.incoming.empty();
    settings.create_blocks = options.create_blocks;
    settings.files = options.files;
    return settings;
}

Result<UniqueFd> duplicate(FdRef fd, const std::string& what) {
    UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid())
        return make_sys_error(what, errno);
    return copy;
}

FdsetOpener fdset_opener(FdSets& fdsets) {
    return [&fdsets](std::string_view path, int flags) -> Result<UniqueFd> {
        MFD_TRY(const SetDup dup, fdsets.open(path, flags));
        return duplicate(dup.ref(), "duplicate a descriptor of " + std::string(path));
    };
}

} // namespace

Daemon::Daemon(Options options, Log& log, const ServiceManager& manager, StateKeeper keeper)
    : options_(std::move(options)), log_(log), keeper_(std::move(keeper)),
      objects_(fdset_opener(fdsets_)),
      run_(
          options_.start_paused, !options_.incoming.empty(),
          {.emit =
               [this](std::string_view event) {
                   keep_state();
                   emit(event, nullptr);
                   notifier_.changed();
               },
           .set_running =
               [this](bool running) { running ? objects_.resume_guest() : objects_.pause_guest(); },
           .may_run = [this] { return migration_.may_run(); }}),
      migration_(io_, migration_settings(options_), fdsets_, objects_, run_,
                 [this](std::string_view event, const nlohmann::json& data) { emit(event, data); }),
      parts_{.fdsets = fdsets_,
             .named_fds = named_fds_,
             .objects = objects_,
             .run = run_,
             .migration = migration_},
      notifier_(io_, manager, [this] { return status(); }),
      context_{
          .fdsets = fdsets_,
          .named_fds = named_fds_,
          .objects = objects_,
          .run = run_,
          .migration = migration_,
          .guest_name = options_.name,
          .uuid = options_.uuid,
          .files = options_.files,
          .emit = [this](std::string_view event, const nlohmann::json& data) { emit(event, data); },
          .guest_changed = [this] { notifier_.changed(); },
          .quit = [this](qmp::Call call) { quit(std::move(call)); }},
      dispatcher_({.major = kQemuMajor,
                   .minor = kQemuMinor,
                   .micro = kQemuMicro,
                   .package = std::string("multifdd-") + kVersionText}),
      server_(io_, dispatcher_),
      metrics_server_(io_, [this](MetricFormat format) { return metrics(format); }),
      signals_(io_, SIGTERM, SIGINT, SIGHUP), give_up_(io_) {
    add_status_commands(dispatcher_, context_);
    add_descriptor_commands(dispatcher_, context_);
    add_migration_commands(dispatcher_, context_);
    add_object_commands(dispatcher_, context_);
    migration_.on_fatal = [this](const std::string& text) {
        spdlog::critical("{}", text);
        fail_to_load(text);
    };
    migration_.on_status = [this] {
        log_job(log_, migration_.status(), migration_.report());
        job_metrics_.note(migration_.status(), migration_.report());
        notifier_.changed();
    };
    if (keeper_.active()) {
        objects_.memory().keep_contents();
        migration_.on_change = [this] { keep_state(); };
        dispatcher_.on_change([this] { keep_state(); });
    }
}

Result<void> Daemon::start() {
    log_start();
    MFD_CHECK(make_guest());
    MFD_CHECK(listen());
    MFD_CHECK(listen_for_metrics());
    MFD_CHECK(confine());
    // From here on threads are started.
    MFD_CHECK(make_workloads());
    MFD_CHECK(keeper_.keep(parts_));
    wait_for_signal();
    run_.start();
    if (loads_by_itself_)
        migration_.start_incoming(options_.incoming, [this](const Result<void>& result) {
            if (result.has_value())
                return;
            spdlog::critical("-incoming {}: {}", options_.incoming, result.error().what);
            fail_to_load("-incoming " + options_.incoming + ": " + result.error().what);
        });
    return {};
}

Result<void> Daemon::make_guest() {
    if (keeper_.has_guest())
        return keeper_.restore(parts_);
    loads_by_itself_ = !options_.incoming.empty() && options_.incoming != "defer";
    MFD_CHECK(take_inherited_descriptors());
    return make_memory();
}

Result<void> Daemon::take_inherited_descriptors() {
    for (const InheritedFd& inherited : options_.add_fd) {
        const std::string what = "-add-fd: duplicate descriptor " + std::to_string(inherited.fd);
        MFD_TRY(UniqueFd copy, duplicate(FdRef(inherited.fd), what));
        MFD_CHECK(fdsets_.add(std::move(copy), inherited.set_id, inherited.opaque));
    }
    // The originals go only now: one may have been named for two sets.
    for (const InheritedFd& inherited : options_.add_fd)
        ::close(inherited.fd);
    return {};
}

Result<void> Daemon::make_memory() {
    for (const std::string& object : options_.objects)
        if (!GuestObjects::is_workload(object))
            MFD_CHECK(add_object(object));
    const bool has_memory = !objects_.memory().all().empty();
    if (options_.memory_bytes && !has_memory)
        MFD_CHECK(objects_.add_option("memory-backend-ram,id=ram,size=" +
                                      std::to_string(*options_.memory_bytes)));
    if (!options_.memory_backend.empty())
        objects_.memory().set_machine_backend(options_.memory_backend);
    return objects_.memory().seal_command_line();
}

Result<void> Daemon::make_workloads() {
    if (keeper_.has_guest())
        return keeper_.restore_workloads(parts_.objects);
    for (const std::string& object : options_.objects)
        if (GuestObjects::is_workload(object))
            MFD_CHECK(add_object(object));
    return {};
}

Result<void> Daemon::add_object(const std::string& option) {
    if (auto added = objects_.add_option(option); !added.has_value())
        return with_context("-object " + option, std::move(added).error());
    return {};
}

Result<void> Daemon::confine() {
    SandboxPlan plan;
    plan.mode = options_.sandbox;
    plan.files = options_.files;
    for (const QmpEndpoint& endpoint : options_.qmp)
        if (!endpoint.path.empty())
            plan.remove_at_end.push_back(endpoint.path);
    for (const MetricsEndpoint& endpoint : options_.metrics)
        if (!endpoint.path.empty())
            plan.remove_at_end.push_back(endpoint.path);
    if (!options_.pid_file.empty())
        plan.remove_at_end.push_back(options_.pid_file);
    if (!options_.env_file.empty())
        plan.read_again.push_back(options_.env_file);
    if (!options_.log_file.empty())
        plan.write_again.push_back(options_.log_file);
    MFD_TRY(sandbox_, enter_sandbox(plan));
    for (const std::string& lack : sandbox_.lacks)
        spdlog::warn("sandbox: this system lacks {}", lack);
    spdlog::info("sandbox: {}", sandbox_.applied.empty() ? "off" : sandbox_.applied);
    return {};
}

Result<void> Daemon::listen() {
    for (const QmpEndpoint& endpoint : options_.qmp) {
        qmp::ListenOptions listen_options;
        listen_options.mode = endpoint.mode;
        listen_options.group = endpoint.group;
        if (!options_.allow_users.empty() || !options_.allow_groups.empty())
            listen_options.peers = {options_.allow_users, options_.allow_groups};
        if (endpoint.read_only)
            listen_options.exposure = qmp::Exposure::QueriesOnly;
        if (endpoint.path.empty())
            MFD_CHECK(server_.adopt_listener(UniqueFd(endpoint.fd), listen_options));
        else
            MFD_CHECK(server_.listen(endpoint.path, listen_options));
    }
    return {};
}

Result<void> Daemon::listen_for_metrics() {
    if (options_.metrics.empty())
        return {};
    MFD_TRY(process_metrics_, ProcessMetrics::open());
    for (const MetricsEndpoint& endpoint : options_.metrics) {
        auto socket = open_metrics_socket(endpoint);
        if (!socket.has_value())
            return with_context(endpoint.fd < 0 ? "-metrics" : "passed by the service manager",
                                std::move(socket).error());
        MFD_CHECK(metrics_server_.listen(std::move(*socket), endpoint.path));
    }
    return {};
}

std::string Daemon::metrics(MetricFormat format) const {
    MetricText out(format);
    out.info("multifdd_build", "The program.");
    out.value({{"version", kVersionText}}, std::uint64_t{1});
    out.info("multifdd_guest", "The guest.");
    out.value({{"name", options_.name}, {"uuid", options_.uuid}}, std::uint64_t{1});
    out.gauge("multifdd_guest_running", "1 while the guest runs.");
    out.value({}, std::uint64_t{run_.running() ? 1U : 0U});
    std::uint64_t blocks = 0;
    std::uint64_t bytes = 0;
    for (const MemoryBackend* block : objects_.memory().blocks()) {
        ++blocks;
        bytes += block->size();
    }
    out.gauge("multifdd_guest_ram_blocks", "Blocks of guest RAM.");
    out.value({}, blocks);
    out.gauge("multifdd_guest_ram_bytes", "Size of guest RAM.");
    out.value({}, bytes);
    job_metrics_.write(out, migration_.status(), migration_.report());
    if (process_metrics_)
        process_metrics_->write(out);
    return out.take();
}

void Daemon::wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
        if (error)
            return;
        take_signal(signal);
        wait_for_signal();
    });
}

void Daemon::take_signal(int signal) {
    if (signal == SIGHUP)
        return notifier_.reload([this] { log_.reload(); });
    spdlog::info("signal {}: ending", signal);
    if (ending_)
        return;
    emit("SHUTDOWN", {{"guest", false}, {"reason", "host-signal"}});
    end(EXIT_SUCCESS);
}

Notifier::Status Daemon::status() {
    StatusFacts facts{
        .run = run_.status(), .migration = migration_.status(), .job = migration_.report()};
    for (const MemoryBackend* block : objects_.memory().blocks()) {
        ++facts.blocks;
        facts.ram_bytes += block->size();
    }
    return {.line = status_line_.describe(facts, StatusLine::Clock::now()),
            .changes_by_itself = migration_.busy()};
}

void Daemon::keep_state() {
    if (const auto kept = keeper_.keep(parts_); !kept.has_value())
        spdlog::error("what has changed would be lost with a restart: {}", kept.error().what);
}

void Daemon::emit(std::string_view event, const nlohmann::json& data) {
    spdlog::debug("event {} {}", event, data.is_null() ? "" : data.dump());
    server_.emit(event, data.is_null() ? std::nullopt : std::optional(data));
}

void Daemon::quit(qmp::Call call) {
    keeper_.give_up();
    emit("SHUTDOWN", {{"guest", false}, {"reason", "host-qmp-quit"}});
    call.reply();
    end(EXIT_SUCCESS);
}

// The next process tries what the command line says as this one did, rather than wait with memory
// that nobody has any use for.
void Daemon::fail_to_load(const std::string& text) {
    if (loads_by_itself_)
        keeper_.give_up();
    end(EXIT_FAILURE, text);
}

void Daemon::end(int exit_status, const std::string& status) {
    if (std::exchange(ending_, true))
        return;
    exit_status_ = exit_status;
    if (keeper_.active()) {
        // The state as it is now: a job that is cancelled below is one that the restart ended.
        keep_state();
        objects_.memory().leave_contents();
        keeper_.hand_over();
    }
    const bool job_runs = migration_.busy();
    notifier_.stopping(job_runs ? status + ", waiting for the running job to end" : status,
                       job_runs);
    give_up_.expires_after(kGiveUpAfter);
    give_up_.async_wait([this](const boost::system::error_code& error) {
        if (error)
            return;
        spdlog::critical("a job did not stop within {} s; leaving without it",
                         kGiveUpAfter.count());
        std::_Exit(exit_status_);
    });
    migration_.shut_down([this] {
        metrics_server_.close();
        server_.shutdown([this] {
            give_up_.cancel();
            io_.stop();
        });
    });
}

void Daemon::write_reference(std::ostream& out) const {
    qmp::write_reference(out, dispatcher_);
}

int Daemon::run() {
    io_.run();
    return exit_status_;
}

void Daemon::log_start() const {
    for (const std::string& name : options_.ignored)
        spdlog::debug("option {} has no meaning here and is ignored", name);
    const EngineProbe engines = probe_engines();
    spdlog::debug("io_uring: {}", engines.uring_reason);
    const TrackingSupport tracking = probe_tracking();
    spdlog::debug("dirty tracking by pagemap: {}",
                  tracking.pagemap ? "available" : tracking.pagemap_lacks);
}

} // namespace mfd
