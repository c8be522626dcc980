// The commands of the daemon, declared with their types: each function adds one group to the
// dispatcher. Handlers run on the control thread; what the context refers to outlives the server.
#pragma once

#include "channels/fdset.hpp"
#include "channels/unique_fd.hpp"
#include "daemon/guest/guest_objects.hpp"
#include "daemon/migration_service.hpp"
#include "daemon/run_control.hpp"
#include "daemon/sandbox/file_policy.hpp"
#include "qmp/dispatcher.hpp"

#include <functional>
#include <map>
#include <string>

namespace mfd {

// The descriptors that getfd kept.
using NamedFds = std::map<std::string, UniqueFd>;

struct CommandContext {
    FdSets& fdsets;
    NamedFds& named_fds;
    GuestObjects& objects;
    RunControl& run;
    MigrationService& migration;
    std::string guest_name; // of -name; empty: none
    std::string uuid;       // of -uuid, or all zeros
    FilePolicy files;       // which files object-add may name
    // Sends an event without data.
    std::function<void(std::string_view event, nlohmann::json data)> emit;
    // Called after guest memory or the run state changed without a STOP or RESUME.
    std::function<void()> guest_changed;
    // Ends the daemon; the reply is given first.
    std::function<void(qmp::Call)> quit;
};

void add_status_commands(qmp::Dispatcher& dispatcher, CommandContext& context);
void add_descriptor_commands(qmp::Dispatcher& dispatcher, CommandContext& context);
void add_migration_commands(qmp::Dispatcher& dispatcher, CommandContext& context);
void add_object_commands(qmp::Dispatcher& dispatcher, CommandContext& context);

} // namespace mfd
