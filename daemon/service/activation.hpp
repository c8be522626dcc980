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

// The same for metrics, whose sockets are served beside those of --metrics. What they are is
// checked when they are opened.
void activate_metrics_sockets(std::vector<PassedDescriptor>& passed,
                              std::vector<MetricsEndpoint>& endpoints);

} // namespace mfd
