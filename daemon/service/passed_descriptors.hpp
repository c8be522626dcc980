// The descriptors that systemd passed at start: listening sockets of the socket unit, and what an
// earlier process of this service put into the descriptor store (sd_listen_fds(3)).
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace mfd {

struct PassedDescriptor {
    std::string name; // FileDescriptorName= of the unit, or FDNAME= of the store
    UniqueFd fd;      // close-on-exec
};

// All of them, in order; none if they are meant for another process or nothing was passed. The
// variables are gone from the environment afterwards. Call once, before any thread exists and
// before a fork, since they name this process.
[[nodiscard]] Result<std::vector<PassedDescriptor>> take_passed_descriptors();

// Sockets to serve QMP on are named "qmp" or "qmp-...".
[[nodiscard]] bool names_qmp_socket(std::string_view name);
// "qmp-ro" and "qmp-ro-..." serve queries and events only.
[[nodiscard]] bool names_read_only_socket(std::string_view name);

// Moves the QMP sockets out of `passed`. Refuses one that is no listening unix stream socket.
[[nodiscard]] Result<std::vector<PassedDescriptor>>
take_qmp_sockets(std::vector<PassedDescriptor>& passed);

// Moves the sockets that are named "metrics" or "metrics-..." out of `passed`; what they are is
// checked where they are used.
[[nodiscard]] std::vector<PassedDescriptor>
take_metrics_sockets(std::vector<PassedDescriptor>& passed);

// Closes what nobody took, with a warning. A listening socket is refused instead: its clients would
// wait for ever.
[[nodiscard]] Result<void> close_unclaimed(std::vector<PassedDescriptor>& passed);

} // namespace mfd
