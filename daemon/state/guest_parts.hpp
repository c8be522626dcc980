// Where the state of a guest lives while it is served, and how it is taken from there and put back.
// Control thread.
#pragma once

#include "channels/fdset.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/guest/guest_objects.hpp"
#include "daemon/migration_service.hpp"
#include "daemon/run_control.hpp"
#include "daemon/state/guest_state.hpp"
#include "daemon/state/kept_descriptors.hpp"
#include "proto/error.hpp"

#include <optional>

namespace mfd {

struct GuestParts {
    FdSets& fdsets;
    NamedFds& named_fds;
    GuestObjects& objects;
    RunControl& run;
    MigrationService& migration;
};

// All but command_line and loaded, which others know. Every descriptor is asked for in
// `descriptors`.
Result<GuestState> take_guest_state(const GuestParts& parts, KeptDescriptors& descriptors);

// Puts everything but the workloads into parts that are as made, before the guest runs. Touches no
// guest memory.
Result<void> restore_guest_state(const GuestState& state, const KeptDescriptors& descriptors,
                                 std::optional<LoadedState> loaded, const GuestParts& parts);
// Then these, whose threads write to the memory.
Result<void> restore_workloads(const GuestState& state, GuestObjects& objects);

} // namespace mfd
