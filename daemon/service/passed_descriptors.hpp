// The descriptors that systemd passed at start: listening sockets of the socket unit, and what an
// earlier process of this service put into the descriptor store (sd_listen_fds(3)).
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <string>
#include <vector>

namespace mfd {

struct PassedDescriptor {
    std::string name; // FileDescriptorName= of the unit, or FDNAME= of the store
    UniqueFd fd;      // close-on-exec
};

// All of them, in order; none if they are meant for another process or nothing was passed. The
// variables are gone from the environment afterwards. Call once, before any thread exists.
[[nodiscard]] Result<std::vector<PassedDescriptor>> take_passed_descriptors();

} // namespace mfd
