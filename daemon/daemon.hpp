// The daemon put together: what the options ask for, served on one io_context until somebody ends
// it. Everything here lives on the control thread.
#pragma once

#include "channels/fdset.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/guest/guest_objects.hpp"
#include "daemon/metrics/job_metrics.hpp"
#include "daemon/metrics/metrics_server.hpp"
#include "daemon/metrics/process_metrics.hpp"
#include "daemon/migration_service.hpp"
#include "daemon/options.hpp"
#include "daemon/run_control.hpp"
#include "daemon/sandbox/sandbox.hpp"
#include "daemon/service/log.hpp"
#include "daemon/service/notifier.hpp"
#include "daemon/state/state_keeper.hpp"
#include "daemon/status_line.hpp"
#include "proto/error.hpp"
#include "qmp/dispatcher.hpp"
#include "qmp/server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

namespace mfd {

class Daemon {
public:
    // `log` and `manager` outlive it.
    Daemon(Options options, Log& log, const ServiceManager& manager, StateKeeper keeper);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    // Takes inherited descriptors, makes the objects, opens the sockets, enters the sandbox. From
    // its success on clients are served once run() is called. No other thread may exist before.
    Result<void> start();
    // Tells the service manager that clients can connect.
    void announce() { notifier_.ready(); }
    // The reference page of all commands and events.
    void write_reference(std::ostream& out) const;
    // Serves until the end; the exit status.
    int run();

private:
    // The guest of the process before this one, or the one that the options describe.
    Result<void> make_guest();
    Result<void> take_inherited_descriptors();
    // Memory first: the emulated guests start threads, which must find the sandbox in force.
    Result<void> make_memory();
    Result<void> listen();
    Result<void> listen_for_metrics();
    [[nodiscard]] std::string metrics(MetricFormat format) const;
    Result<void> confine();
    Result<void> make_workloads();
    Result<void> add_object(const std::string& option);
    void wait_for_signal();
    void take_signal(int signal);
    [[nodiscard]] Notifier::Status status();
    // What clients are about to be told survives this process.
    void keep_state();
    void emit(std::string_view event, const nlohmann::json& data);
    void quit(qmp::Call call);
    void fail_to_load(const std::string& text);
    // Stops the job, tells the clients, ends the event loop. `status` is the last line that the
    // service manager shows.
    void end(int exit_status, const std::string& status = "stopping");
    void log_start() const;

    Options options_;
    Log& log_;
    StateKeeper keeper_;
    Sandbox sandbox_;
    boost::asio::io_context io_{1};
    FdSets fdsets_;
    NamedFds named_fds_;
    GuestObjects objects_;
    RunControl run_;
    MigrationService migration_;
    GuestParts parts_;
    StatusLine status_line_;
    Notifier notifier_; // after what its status line is made of
    CommandContext context_;
    qmp::Dispatcher dispatcher_;
    qmp::Server server_; // after what its commands use
    JobMetrics job_metrics_;
    std::optional<ProcessMetrics> process_metrics_; // nothing: nobody is served metrics
    MetricsServer metrics_server_;                  // after what it tells about
    boost::asio::signal_set signals_;
    boost::asio::steady_timer give_up_;
    int exit_status_ = 0;
    bool ending_ = false;
    bool loads_by_itself_ = false; // what -incoming names
};

} // namespace mfd
