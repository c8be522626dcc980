// The command line: QEMU's spelling for what both have, with one dash or two, and our own options.
#pragma once

#include "daemon/metrics/metrics_endpoint.hpp"
#include "daemon/sandbox/sandbox.hpp"
#include "proto/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace mfd {

// -qmp unix:PATH,server=on,wait=off[,mode=MODE,group=NAME] or unix:fd=N
struct QmpEndpoint {
    std::string path; // empty: the inherited listening socket `fd`
    int fd = -1;
    bool read_only = false;          // serves queries and events alone
    mode_t mode = 0600;              // of the socket made at `path`
    std::optional<gid_t> group = {}; // of the same; nothing: the process's
};

// -add-fd set=N,fd=N,opaque=TEXT
struct InheritedFd {
    std::int64_t set_id = 0;
    int fd = -1;
    std::optional<std::string> opaque;
};

// Whether the guest is handed to the next process of the service.
enum class KeepState : std::uint8_t {
    Off,
    On,
    Auto, // where the service manager says that it has a descriptor store
};

struct Options {
    std::vector<std::string> objects; // texts of -object, in order
    std::vector<QmpEndpoint> qmp;
    std::vector<MetricsEndpoint> metrics;
    std::vector<InheritedFd> add_fd;
    std::optional<std::string> machine;        // nothing: not given
    std::string memory_backend;                // of -machine; empty: none
    std::optional<std::uint64_t> memory_bytes; // -m
    std::string name;
    std::string uuid = "00000000-0000-0000-0000-000000000000";
    std::optional<std::array<std::byte, 16>> uuid_bytes;
    std::string incoming; // empty, "defer" or a URI
    bool create_blocks = false;
    bool start_paused = false;
    KeepState keep_state = KeepState::Auto;
    bool daemonize = false;
    std::string pid_file;
    std::string log_file;
    std::optional<std::string> log_level; // one of kLogLevels; nothing: not given
    std::string env_file;                 // has the log level, read again at SIGHUP; empty: none
    std::vector<uid_t> allow_users; // with allow_groups: who may connect; both empty: the default
    std::vector<gid_t> allow_groups;
    SandboxMode sandbox = default_sandbox_mode();
    FilePolicy files;                 // what clients may name
    bool print_qmp_reference = false; // write daemon/QMP.md to standard output and leave
    std::vector<std::string> ignored; // QEMU's options that have no meaning here, for the log
};

// What the process shall do next.
struct ParsedOptions {
    std::optional<Options> options; // nothing: print `text` and leave with `exit_status`
    std::string text;
    int exit_status = 0;
};

// The text of -uuid.
Result<std::array<std::byte, 16>> parse_uuid(const std::string& text);

ParsedOptions parse_options(int argc, const char* const* argv);

} // namespace mfd
