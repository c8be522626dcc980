// Everything of a guest that outlives the process, as plain values. Descriptors are named as in the
// service manager's store.
#pragma once

#include "daemon/migration_record.hpp"
#include "daemon/run_control.hpp"
#include "proto/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mfd {

struct MemoryState {
    nlohmann::json arguments; // of object-add
    std::string memory;       // descriptor
    std::string dirty_log;    // descriptor; empty: none
    bool passed = false;      // the memory is a client's
    bool from_command_line = false;
};

struct FdsetMemberState {
    std::string descriptor;
    int number = -1;       // as clients know it
    nlohmann::json opaque; // text, or null
};

struct FdsetState {
    std::int64_t id = 0;
    std::vector<FdsetMemberState> members; // in the order of adding
};

struct GuestState {
    nlohmann::json command_line; // what it said of the guest when the guest was started
    std::string machine_backend;
    std::vector<MemoryState> memory;       // in the order of adding
    std::vector<nlohmann::json> workloads; // arguments of object-add
    std::vector<FdsetState> fdsets;
    std::map<std::string, std::string> named_fds;
    RunControl::Record run;
    MigrationRecord migration;
    std::string loaded; // descriptor of the loaded file's device state; empty: none
};

nlohmann::json encode_guest_state(const GuestState& state);
// Exactly what was encoded; refuses what encode_guest_state() does not make.
Result<GuestState> decode_guest_state(const nlohmann::json& value);

} // namespace mfd
