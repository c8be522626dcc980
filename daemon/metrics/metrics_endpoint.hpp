// Where metrics are served: the value of --metrics, and the listening socket made from it.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace mfd {

// unix:PATH[,mode=MODE,group=NAME], tcp:127.0.0.1:PORT or tcp:[::1]:PORT
struct MetricsEndpoint {
    std::string path;       // of a unix socket; empty: TCP, or `fd`
    std::string address;    // of TCP: 127.0.0.0/8 or ::1
    std::uint16_t port = 0; // 0: the kernel picks one, the log says which
    int fd = -1;            // an inherited listening socket
    mode_t mode = 0600;     // of the socket made at `path`
    std::optional<gid_t> group = {};
};

// "127.0.0.1:9100" or "[::1]:9100". Other addresses are refused: metrics tell about the guest, and
// nobody is asked for a password.
Result<MetricsEndpoint> parse_loopback(std::string_view text);

// A listening socket that does not block. Before the sandbox, which makes no sockets.
Result<UniqueFd> open_metrics_socket(const MetricsEndpoint& endpoint);
// Makes sure that an inherited socket listens, on a path or on this machine's own addresses alone.
Result<void> check_metrics_socket(FdRef socket);
// "unix:/run/x.metrics", "tcp:127.0.0.1:9100": where a listening socket is reached.
std::string describe_socket(FdRef socket);
[[nodiscard]] bool is_unix_socket(FdRef socket);

} // namespace mfd
