// What save and restore have in common: their options, and following a job to its end.
#pragma once

#include "qmp/ctl/command.hpp"
#include "qmp/ctl/interrupts.hpp"
#include "qmp/ctl/job_file.hpp"
#include "qmp/ctl/progress.hpp"
#include "qmp/ctl/settings.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace mfd::ctl {

struct JobOptions {
    std::string file;
    std::optional<unsigned> channels;
    bool direct_io = false;
    bool no_direct_io = false;
    bool no_multifd = false;
    bool by_path = false;
    bool quiet = false;
    bool json = false;
    std::string offset = "0";
    std::string max_bandwidth = "0";
    std::optional<std::string> zero_page_detection;
};

// Catches interruptions, connects and runs; what keeps it from doing so is said.
Exit run_job(const Invocation& invocation, const char* command,
             const std::function<Exit(Client, Interrupts)>& run);
// The options that `save` and `restore` share.
void add_job_options(CLI::App& command, JobOptions& options);
// A check for options that take a size.
std::string check_size(std::string& text);

// Capabilities and parameters for this job; `direct` is what became of the wish for O_DIRECT.
Result<void> apply_job_settings(Settings& settings, Client& client, const JobOptions& options,
                                bool direct);
// True if channels should use O_DIRECT where the file system can. The default is yes, unless the
// server opens the file itself: only it could find out then.
Result<bool> wants_direct_io(const JobOptions& options, const Settings& settings);
// "file:/dev/fdset/3,offset=4096".
std::string job_uri(const std::string& name, const JobOptions& options);

enum class Follow : std::uint8_t { Save, Restore };

struct JobEnd {
    enum class How : std::uint8_t { Completed, Failed, Cancelled, Left };
    How how = How::Failed;
    Json info; // the last reply of query-migrate
    bool interrupted = false;
    std::chrono::milliseconds elapsed{0};
};

// What --json prints of a job that completed.
Json job_json(const JobOptions& options, const JobEnd& end, bool direct);

// Follows the running job. An interruption cancels a save, and leaves it alone at the second; it
// leaves a restore alone at once, since a server cannot take a restore back.
Result<JobEnd> follow_job(Client& client, Follow kind, Interrupts& interrupts,
                          ProgressDisplay& display);
// Ends the job's part on the server: takes the fdset away, waits until nothing of the job is left,
// then puts the settings back. QEMU reports the end of a job a moment before it has joined its
// channels, counts them by the parameter, and crashes if that has changed in between. Whatever goes
// wrong is said, and does not keep the rest from being tried.
void end_job(Client& client, const char* command, JobFile* file, Settings& settings);
// "error-desc" of a failed job, or a sentence that there is none.
std::string failure_text(const Json& info);

} // namespace mfd::ctl
