// multifdd: options, background, log, daemon; in this order.
#include "daemon/background.hpp"
#include "daemon/daemon.hpp"
#include "daemon/options.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

namespace {

mfd::Result<void> set_up_log(const mfd::Options& options) {
    std::shared_ptr<spdlog::logger> logger;
    if (options.log_file.empty()) {
        logger = spdlog::stderr_logger_mt("multifdd");
    } else {
        try {
            logger = spdlog::basic_logger_mt("multifdd", options.log_file);
        } catch (const spdlog::spdlog_ex& error) {
            return mfd::Error{mfd::Errc::Io, "log file " + options.log_file + ": " + error.what()};
        }
    }
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e multifdd[%P] %l: %v");
    logger->set_level(spdlog::level::from_str(options.log_level));
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
    return {};
}

mfd::Result<int> run(mfd::Options options) {
    std::optional<mfd::Background> background;
    if (options.daemonize) {
        MFD_TRY(background, mfd::Background::detach());
    }
    MFD_CHECK(set_up_log(options));
    std::optional<mfd::PidFile> pid_file;
    if (!options.pid_file.empty()) {
        MFD_TRY(pid_file, mfd::PidFile::create(options.pid_file));
    }
    const bool print_reference = options.print_qmp_reference;
    mfd::Daemon daemon(std::move(options));
    if (print_reference) {
        daemon.write_reference(std::cout);
        return EXIT_SUCCESS;
    }
    MFD_CHECK(daemon.start());
    if (background)
        background->ready();
    // For a service manager that waits for it; nothing happens without one.
    sd_notify(/*unset_environment=*/1, "READY=1");
    return daemon.run();
}

} // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN); // a client that goes away is an error of its connection
    auto parsed = mfd::parse_options(argc, argv);
    if (!parsed.options) {
        std::fputs(parsed.text.c_str(), parsed.exit_status == 0 ? stdout : stderr);
        return parsed.exit_status;
    }
    const auto status = run(std::move(*parsed.options));
    if (!status.has_value()) {
        std::fprintf(stderr, "multifdd: %s\n", status.error().what.c_str());
        return EXIT_FAILURE;
    }
    return *status;
}
