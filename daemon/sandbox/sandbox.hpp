// What the daemon gives up once all files and sockets of its command line are open, before it
// serves anybody: capabilities, gaining privileges, system calls it does not need, paths it need
// not open. Against the day when a client or a file takes the process over.
#pragma once

#include "channels/unique_fd.hpp"
#include "daemon/sandbox/file_policy.hpp"
#include "proto/error.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace mfd {

enum class SandboxMode : std::uint8_t {
    Off,
    On,     // as much as the kernel has
    Strict, // all of it, or an error
};

// On, but Off in builds with a sanitizer, whose runtime needs more than the filter permits.
SandboxMode default_sandbox_mode();

struct SandboxPlan {
    SandboxMode mode = SandboxMode::Off;
    FilePolicy files;
    std::vector<std::string> remove_at_end; // files: sockets, the pid file
    std::vector<std::string> read_again;    // files that are read again while running, or new ones
                                            // of the same name in their directory
    std::vector<std::string> write_again;   // the same of files that are made if need be
};

struct Sandbox {
    std::string applied;                // for the log; empty: nothing
    std::vector<std::string> lacks;     // what this kernel does not have, or does not permit
    std::vector<UniqueFd> pinned_paths; // kept for as long as the process lives (landlock.hpp)
};

// Landlock and capabilities hold for the calling thread and those it makes, so no other may exist
// yet. With Strict anything in `lacks` is the error instead.
Result<Sandbox> enter_sandbox(const SandboxPlan& plan);

} // namespace mfd
