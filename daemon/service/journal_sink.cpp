#include "daemon/service/journal_sink.hpp"

#include "proto/error.hpp"

#include <cstdio>
#include <cstdlib>

#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

namespace mfd {

namespace {

int send_to_journal(std::span<const iovec> fields) {
    return ::sd_journal_sendv(fields.data(), static_cast<int>(fields.size()));
}

int priority_of(spdlog::level::level_enum level) {
    switch (level) {
    case spdlog::level::critical:
        return LOG_CRIT;
    case spdlog::level::err:
        return LOG_ERR;
    case spdlog::level::warn:
        return LOG_WARNING;
    case spdlog::level::info:
        return LOG_INFO;
    case spdlog::level::trace:
    case spdlog::level::debug:
    case spdlog::level::off:
    case spdlog::level::n_levels:
        break;
    }
    return LOG_DEBUG;
}

} // namespace

JournalSink::JournalSink(std::string guest) : JournalSink(std::move(guest), send_to_journal) {}

JournalSink::JournalSink(std::string guest, Send send)
    : guest_(std::move(guest)), send_(std::move(send)) {}

void JournalSink::set_job(std::string id) {
    const std::lock_guard lock(mutex_);
    job_ = std::move(id);
}

void JournalSink::send(spdlog::level::level_enum level, std::string_view text,
                       const LogFields& fields) {
    const std::lock_guard lock(mutex_);
    send_locked(level, text, fields);
}

void JournalSink::sink_it_(const spdlog::details::log_msg& message) {
    send_locked(message.level, {message.payload.data(), message.payload.size()}, {});
}

void JournalSink::send_locked(spdlog::level::level_enum level, std::string_view text,
                              const LogFields& fields) {
    std::vector<std::string> entry;
    entry.reserve(fields.size() + 4);
    entry.push_back("MESSAGE=" + std::string(text));
    entry.push_back("PRIORITY=" + std::to_string(priority_of(level)));
    if (!guest_.empty())
        entry.push_back("MULTIFD_GUEST=" + guest_);
    if (!job_.empty())
        entry.push_back("MULTIFD_JOB=" + job_);
    for (const auto& [name, value] : fields)
        entry.push_back(std::string(name) + "=" + value);
    std::vector<iovec> parts;
    parts.reserve(entry.size());
    for (std::string& field : entry)
        parts.push_back({field.data(), field.size()});
    // The stream leads to the same journal, and may work where its socket does not.
    if (const int sent = send_(parts); sent < 0)
        std::fprintf(stderr, "<%d>%.*s (journal: %s)\n", priority_of(level),
                     static_cast<int>(text.size()), text.data(), errno_text(-sent).c_str());
}

bool stderr_is_journal() {
    // Read once at start, before there are other threads.
    const char* stream = std::getenv("JOURNAL_STREAM"); // NOLINT(concurrency-mt-unsafe)
    struct stat status {};
    if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0)
        return false;
    return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == stream;
}

} // namespace mfd
