#include "daemon/service/log.hpp"

#include "daemon/service/env_file.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace mfd {

namespace {

constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%e multifdd[%P] %l: %v";
constexpr std::string_view kLevelVariable = "MULTIFDD_LOG_LEVEL";

// A reload may come after the process changed its directory.
std::string absolute_path(const std::string& path) {
    std::error_code failed;
    const auto absolute = std::filesystem::absolute(path, failed);
    return path.empty() || failed ? path : absolute.string();
}

} // namespace

Result<Log> Log::set_up(const LogOptions& options) {
    Log log(options);
    log.options_.file = absolute_path(options.file);
    log.options_.env_file = absolute_path(options.env_file);
    log.sinks_ = std::make_shared<spdlog::sinks::dist_sink_mt>();
    if (!options.file.empty()) {
        MFD_CHECK(log.open_file());
    } else if (stderr_is_journal()) {
        log.journal_ = std::make_shared<JournalSink>(options.guest);
        log.sinks_->add_sink(log.journal_);
    } else {
        log.sinks_->add_sink(std::make_shared<spdlog::sinks::stderr_sink_mt>());
    }
    auto logger = std::make_shared<spdlog::logger>("multifdd", log.sinks_);
    logger->set_pattern(kPattern);
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
    if (options.level)
        spdlog::set_level(spdlog::level::from_str(*options.level));
    else
        log.read_level();
    return log;
}

Result<void> Log::open_file() {
    try {
        auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options_.file);
        sink->set_pattern(kPattern);
        sinks_->set_sinks({std::move(sink)});
    } catch (const spdlog::spdlog_ex& error) {
        return Error{Errc::Io, "log file " + options_.file + ": " + error.what()};
    }
    return {};
}

void Log::read_level() {
    if (options_.env_file.empty())
        return;
    const auto read = read_assignment(options_.env_file, kLevelVariable);
    if (!read.has_value()) {
        spdlog::warn("the log level stays: {}", read.error().what);
        return;
    }
    // A line that was taken out again takes its level with it.
    const std::string level = read->value_or(options_.level.value_or("info"));
    if (std::find(kLogLevels.begin(), kLogLevels.end(), level) == kLogLevels.end()) {
        spdlog::warn("the log level stays: '{}' of {} in {} is none of trace, debug, info, "
                     "warning, error",
                     level, kLevelVariable, options_.env_file);
        return;
    }
    spdlog::set_level(spdlog::level::from_str(level));
}

void Log::reload() {
    if (!options_.file.empty())
        if (const auto opened = open_file(); !opened.has_value())
            spdlog::warn("the log file stays as it is: {}", opened.error().what);
    read_level();
    const auto level = spdlog::level::to_string_view(spdlog::get_level());
    spdlog::info("reloaded: log level {}", std::string_view(level.data(), level.size()));
}

void Log::set_job(const std::string& id) {
    if (journal_)
        journal_->set_job(id);
}

void Log::event(spdlog::level::level_enum level, const std::string& text, const LogFields& fields) {
    if (!journal_)
        spdlog::log(level, "{}", text);
    else if (spdlog::should_log(level))
        journal_->send(level, text, fields);
}

} // namespace mfd
