#include "daemon/service/activation.hpp"

#include <utility>

namespace mfd {

Result<void> activate_qmp_sockets(std::vector<PassedDescriptor>& passed,
                                  std::vector<QmpEndpoint>& endpoints) {
    MFD_TRY(std::vector<PassedDescriptor> sockets, take_qmp_sockets(passed));
    if (sockets.empty())
        return {};
    if (!endpoints.empty())
        return Error{Errc::BadArgument, "-qmp does not go with the socket '" + sockets[0].name +
                                            "' that the service manager passed: leave out one of "
                                            "the two"};
    for (PassedDescriptor& socket : sockets) {
        QmpEndpoint endpoint;
        endpoint.fd = socket.fd.release();
        endpoint.read_only = names_read_only_socket(socket.name);
        endpoints.push_back(std::move(endpoint));
    }
    return {};
}

void activate_metrics_sockets(std::vector<PassedDescriptor>& passed,
                              std::vector<MetricsEndpoint>& endpoints) {
    for (PassedDescriptor& socket : take_metrics_sockets(passed)) {
        MetricsEndpoint endpoint;
        endpoint.fd = socket.fd.release();
        endpoints.push_back(std::move(endpoint));
    }
}

} // namespace mfd
