// multifdd: options, what the service manager passed, background, log, daemon; in this order.
#include "daemon/background.hpp"
#include "daemon/daemon.hpp"
#include "daemon/options.hpp"
#include "daemon/sandbox/limits.hpp"
#include "daemon/service/activation.hpp"
#include "daemon/service/log.hpp"
#include "daemon/service/service_manager.hpp"
#include "daemon/state/state_keeper.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <spdlog/spdlog.h>
#include <utility>

#include <systemd/sd-daemon.h>

namespace {

mfd::Result<int> run(mfd::Options options, const mfd::ServiceManager& manager) {
    MFD_TRY(auto passed, mfd::take_passed_descriptors());
    MFD_CHECK(mfd::activate_qmp_sockets(passed, options.qmp));
    mfd::activate_metrics_sockets(passed, options.metrics);
    std::optional<mfd::Background> background;
    if (options.daemonize) {
        MFD_TRY(background, mfd::Background::detach());
    }
    MFD_TRY(auto log, mfd::Log::set_up({.file = options.log_file,
                                        .level = options.log_level,
                                        .env_file = options.env_file,
                                        .guest = options.name}));
    if (const auto limit = mfd::raise_descriptor_limit(); limit.has_value())
        spdlog::debug("up to {} descriptors can be open", *limit);
    else
        spdlog::warn("{}", limit.error().what);
    MFD_TRY(auto keeper, mfd::StateKeeper::open(passed, options));
    MFD_CHECK(mfd::close_unclaimed(passed));
    std::optional<mfd::PidFile> pid_file;
    if (!options.pid_file.empty()) {
        MFD_TRY(pid_file, mfd::PidFile::create(options.pid_file));
    }
    const bool print_reference = options.print_qmp_reference;
    mfd::Daemon daemon(std::move(options), log, manager, std::move(keeper));
    if (print_reference) {
        daemon.write_reference(std::cout);
        return EXIT_SUCCESS;
    }
    MFD_CHECK(daemon.start());
    // Before the parent leaves, whom a service manager takes for the main process until then.
    daemon.announce();
    if (background)
        background->ready();
    return daemon.run();
}

// The journal takes the severity from a prefix.
void print_error(const std::string& text) {
    std::fprintf(stderr, "%s%s", mfd::stderr_is_journal() ? SD_ERR : "", text.c_str());
}

} // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN); // a client that goes away is an error of its connection
    auto parsed = mfd::parse_options(argc, argv);
    if (!parsed.options && parsed.exit_status == 0) {
        std::fputs(parsed.text.c_str(), stdout);
        return parsed.exit_status;
    }
    if (!parsed.options) {
        print_error(parsed.text);
        return parsed.exit_status;
    }
    // It speaks of this process, so before a fork.
    const auto manager = mfd::ServiceManager::from_environment();
    const auto status = run(std::move(*parsed.options), manager);
    if (!status.has_value()) {
        manager.status("cannot start: " + status.error().what);
        print_error("multifdd: " + status.error().what + "\n");
        return EXIT_FAILURE;
    }
    return *status;
}
