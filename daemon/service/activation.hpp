// Socket activation: the QMP sockets that the service manager made take the place of -qmp.
#pragma once

#include "daemon/options.hpp"
#include "daemon/service/passed_descriptors.hpp"
#include "proto/error.hpp"

#include <vector>

namespace mfd {

// Moves the QMP sockets out of `passed` to the endpoints. Refused if there are endpoints already:
// one would not know which of the two a client should use.
[[nodiscard]] Result<void> activate_qmp_sockets(std::vector<PassedDescriptor>& passed,
                                                std::vector<QmpEndpoint>& endpoints);

} // namespace mfd
