// Log messages as entries of systemd's journal, with fields that journalctl(1) can select by:
// MULTIFD_GUEST, MULTIFD_JOB, and those of the message itself. Any thread.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/uio.h>

namespace mfd {

// Names (capitals, digits, underscores) and values.
using LogFields = std::vector<std::pair<std::string_view, std::string>>;

class JournalSink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    // Hands over one entry; 0 or a negative errno, as sd_journal_sendv(3).
    using Send = std::function<int(std::span<const iovec> fields)>;

    // `guest` may be empty: then its field is left out.
    explicit JournalSink(std::string guest);
    JournalSink(std::string guest, Send send);

    // The job that messages belong to from now on.
    void set_job(std::string id);
    void send(spdlog::level::level_enum level, std::string_view text, const LogFields& fields);

protected:
    void sink_it_(const spdlog::details::log_msg& message) override;
    void flush_() override {}

private:
    void send_locked(spdlog::level::level_enum level, std::string_view text,
                     const LogFields& fields);

    const std::string guest_;
    const Send send_;
    std::string job_; // under the mutex of base_sink, as the sending
};

// Is standard error the stream that a service manager connected to its journal? (JOURNAL_STREAM)
[[nodiscard]] bool stderr_is_journal();

} // namespace mfd
