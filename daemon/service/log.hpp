// Where log messages go, and how many: the journal with structured fields if standard error leads
// there, else standard error as lines of text, or a file. It sets up spdlog's default logger, by
// which everybody logs.
#pragma once

#include "daemon/service/journal_sink.hpp"
#include "proto/error.hpp"

#include <spdlog/common.h>
#include <spdlog/sinks/dist_sink.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace mfd {

inline constexpr std::array<const char*, 5> kLogLevels = {"trace", "debug", "info", "warning",
                                                          "error"};

struct LogOptions {
    std::string file;                 // empty: none
    std::optional<std::string> level; // one of kLogLevels; nothing: what env_file says, or info
    std::string env_file;             // may have a line MULTIFDD_LOG_LEVEL=LEVEL; empty: none
    std::string guest;                // the guest's name; empty: none
};

class Log {
public:
    // A file that cannot be opened is an error.
    [[nodiscard]] static Result<Log> set_up(const LogOptions& options);

    // Takes the level from the environment file and opens the log file anew. What cannot be done
    // leaves level or file as they are, and is logged. Any thread.
    void reload();

    // The running or last job: the field MULTIFD_JOB of all messages from now on. Any thread.
    void set_job(const std::string& id);
    // A message that the journal gets with `fields`, the other outputs as text alone. Any thread.
    void event(spdlog::level::level_enum level, const std::string& text, const LogFields& fields);

private:
    explicit Log(LogOptions options) : options_(std::move(options)) {}
    Result<void> open_file();
    void read_level();

    LogOptions options_;
    std::shared_ptr<spdlog::sinks::dist_sink_mt> sinks_; // the one output, which can be exchanged
    std::shared_ptr<JournalSink> journal_;               // nothing: another output
};

} // namespace mfd
