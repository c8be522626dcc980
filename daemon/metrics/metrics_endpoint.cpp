#include "daemon/metrics/metrics_endpoint.hpp"

#include "qmp/limits.hpp"
#include "qmp/socket_io.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace mfd {

namespace {

union SocketName {
    sockaddr any;
    sockaddr_in ip4;
    sockaddr_in6 ip6;
    sockaddr_un path;
};

bool is_loopback(const SocketName& name) {
    constexpr std::uint32_t kNet = 0x7f000000;
    constexpr std::uint32_t kNetMask = 0xff000000;
    if (name.any.sa_family == AF_INET)
        return (ntohl(name.ip4.sin_addr.s_addr) & kNetMask) == kNet;
    return name.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&name.ip6.sin6_addr);
}

// The address and port; false if the text is no address.
bool fill(SocketName& name, socklen_t& length, const MetricsEndpoint& endpoint) {
    std::memset(&name, 0, sizeof(name));
    if (::inet_pton(AF_INET, endpoint.address.c_str(), &name.ip4.sin_addr) == 1) {
        name.ip4.sin_family = AF_INET;
        name.ip4.sin_port = htons(endpoint.port);
        length = sizeof(name.ip4);
        return true;
    }
    if (::inet_pton(AF_INET6, endpoint.address.c_str(), &name.ip6.sin6_addr) == 1) {
        name.ip6.sin6_family = AF_INET6;
        name.ip6.sin6_port = htons(endpoint.port);
        length = sizeof(name.ip6);
        return true;
    }
    return false;
}

std::optional<SocketName> name_of_socket(FdRef socket, socklen_t& length) {
    SocketName name{};
    length = sizeof(name);
    if (::getsockname(socket.get(), &name.any, &length) != 0)
        return std::nullopt;
    return name;
}

} // namespace

Result<MetricsEndpoint> parse_loopback(std::string_view text) {
    const Error wrong{Errc::BadArgument,
                      "'" + std::string(text) +
                          "' is not ADDRESS:PORT with a loopback address, as in 127.0.0.1:9100 or "
                          "[::1]:9100"};
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return wrong;
    MetricsEndpoint endpoint;
    endpoint.address = text.substr(0, colon);
    const bool bracketed = endpoint.address.starts_with('[') && endpoint.address.ends_with(']');
    if (bracketed)
        endpoint.address = endpoint.address.substr(1, endpoint.address.size() - 2);
    const char* const end = text.data() + text.size();
    const auto [stop, fault] = std::from_chars(text.data() + colon + 1, end, endpoint.port);
    SocketName name{};
    socklen_t length = 0;
    if (fault != std::errc{} || stop != end || !fill(name, length, endpoint) ||
        bracketed != (name.any.sa_family == AF_INET6) || !is_loopback(name))
        return wrong;
    return endpoint;
}

Result<UniqueFd> open_metrics_socket(const MetricsEndpoint& endpoint) {
    if (endpoint.fd >= 0) {
        UniqueFd inherited(endpoint.fd);
        MFD_CHECK(check_metrics_socket(inherited.ref()));
        return inherited;
    }
    if (!endpoint.path.empty())
        return qmp::make_listening_socket(endpoint.path, endpoint.mode, endpoint.group);
    const std::string what =
        "listen on tcp:" + endpoint.address + ":" + std::to_string(endpoint.port);
    SocketName name{};
    socklen_t length = 0;
    if (!fill(name, length, endpoint))
        return Error{Errc::BadArgument, what + ": no address"};
    UniqueFd socket(
        ::socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
    if (!socket.valid())
        return make_sys_error(what, errno);
    const int on = 1; // a daemon that is restarted takes its port over
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        ::bind(socket.get(), &name.any, length) != 0 ||
        ::listen(socket.get(), qmp::limits::kListenBacklog) != 0)
        return make_sys_error(what, errno);
    return socket;
}

Result<void> check_metrics_socket(FdRef socket) {
    int listens = 0;
    socklen_t length = sizeof(listens);
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 ||
        listens == 0)
        return Error{Errc::BadArgument, "the socket for metrics does not listen"};
    const auto name = name_of_socket(socket, length);
    if (!name || (name->any.sa_family != AF_UNIX && !is_loopback(*name)))
        return Error{Errc::BadArgument, "the socket for metrics is neither a unix socket nor on a "
                                        "loopback address, such as 127.0.0.1"};
    const int flags = ::fcntl(socket.get(), F_GETFL);
    if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0)
        return make_sys_error("set up the socket for metrics", errno);
    return {};
}

std::string describe_socket(FdRef socket) {
    socklen_t length = 0;
    const auto name = name_of_socket(socket, length);
    if (!name)
        return "?";
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (name->any.sa_family == AF_UNIX) {
        const auto bytes = length - offsetof(sockaddr_un, sun_path);
        return "unix:" + std::string(name->path.sun_path, ::strnlen(name->path.sun_path, bytes));
    }
    const bool ip6 = name->any.sa_family == AF_INET6;
    const void* address = ip6 ? static_cast<const void*>(&name->ip6.sin6_addr)
                              : static_cast<const void*>(&name->ip4.sin_addr);
    ::inet_ntop(name->any.sa_family, address, text.data(), text.size());
    return std::string("tcp:") + (ip6 ? "[" : "") + text.data() + (ip6 ? "]:" : ":") +
           std::to_string(ntohs(ip6 ? name->ip6.sin6_port : name->ip4.sin_port));
}

bool is_unix_socket(FdRef socket) {
    socklen_t length = 0;
    const auto name = name_of_socket(socket, length);
    return name && name->any.sa_family == AF_UNIX;
}

} // namespace mfd
