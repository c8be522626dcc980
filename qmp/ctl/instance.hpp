// The instances of a host: their sockets, and what each of them says.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "qmp/client.hpp"
#include "qmp/json.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mfd::ctl {

struct InstanceSocket {
    std::string name;     // of the guest
    std::string path;     // the read-only one where there is one, so that nobody waits for us
    std::string fallback; // the other one then, for when somebody looks there already
};

// "NAME.qmp" and "NAME-ro.qmp" in `folder`, by name; none if the service's own folder is not there.
Result<std::vector<InstanceSocket>> find_instances(const std::string& folder);
// The pure part: from the names of files.
std::vector<InstanceSocket> instances_among(const std::string& folder,
                                            const std::vector<std::string>& files);

struct InstanceState {
    std::string name;
    std::string path;
    std::string problem;   // why it could not be asked; empty: it could
    std::string run_state; // "running"
    std::uint64_t ram_bytes = 0;
    std::string job;                // "save", "restore"; empty: none yet
    std::string job_status;         // "active"
    std::optional<double> progress; // 0..1 of a running job, where the server tells
    double bytes_per_second = 0;    // of a running job
    std::uint64_t transferred = 0;
    std::chrono::milliseconds total_time{0};
};

// Connects, asks, goes: a connection that stayed would keep others waiting. Ends early when
// `interrupt` becomes readable.
InstanceState ask_instance(const InstanceSocket& socket, std::chrono::milliseconds timeout,
                           FdRef interrupt);
// The pure part: from replies by command.
InstanceState instance_state(const InstanceSocket& socket, const qmp::Json& replies);
// The rate since `before`, an earlier look at the same instance, `elapsed` ago.
void update_rate(InstanceState& now, const InstanceState& before,
                 std::chrono::milliseconds elapsed);

qmp::Json to_json(const InstanceState& state);

} // namespace mfd::ctl
