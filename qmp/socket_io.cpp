#include "qmp/socket_io.hpp"

#include "qmp/limits.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace mfd::qmp {

namespace {

// The flag belongs to the open file, so the sender sees the change too; QEMU does the same.
void make_blocking(FdRef fd) {
    const int flags = ::fcntl(fd.get(), F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0)
        (void)::fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK);
}

// Takes all descriptors out of the control messages, so that none leaks, and keeps the first. If
// the process may open no more (MSG_CTRUNC) the kernel has dropped those that did not fit.
UniqueFd take_first_descriptor(msghdr& message) {
    UniqueFd first;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            UniqueFd fd(number);
            if (!first.valid())
                first = std::move(fd);
        }
    }
    if (first.valid())
        make_blocking(first.ref());
    return first;
}

Result<sockaddr_un> make_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path))
        return Error{Errc::BadArgument,
                     "listen on '" + path + "': a socket's path has between 1 and " +
                         std::to_string(sizeof(address.sun_path) - 1) + " bytes"};
    if (path.find('\0') != std::string::npos)
        return Error{Errc::BadArgument, "listen on a socket: its path contains a zero byte"};
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

Result<UniqueFd> make_socket(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid())
        return make_sys_error("listen on '" + path + "': make a socket", errno);
    return fd;
}

// Removes what a process that ended without cleaning up left at `path`. A connect tells: it is
// refused only if nobody listens.
Result<void> remove_stale_socket(const std::string& path, const sockaddr_un& address) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0)
        return {};
    if (!S_ISSOCK(status.st_mode))
        return Error{Errc::BadArgument,
                     "listen on '" + path + "': the path exists and is not a socket"};
    MFD_TRY(const UniqueFd probe, make_socket(path));
    if (::connect(probe.get(), as_sockaddr(address), sizeof(address)) == 0 || errno == EAGAIN)
        return Error{Errc::WrongState,
                     "listen on '" + path + "': another process is listening there"};
    if (errno != ECONNREFUSED)
        return make_sys_error("listen on '" + path + "': find out whether it is in use", errno);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return make_sys_error("listen on '" + path + "': remove the unused socket there", errno);
    return {};
}

Result<int> socket_option(FdRef socket, int option) {
    int value = 0;
    socklen_t size = sizeof(value);
    if (::getsockopt(socket.get(), SOL_SOCKET, option, &value, &size) != 0)
        return make_sys_error("inherited descriptor " + std::to_string(socket.get()), errno);
    return value;
}

Result<void> check_unix_stream(FdRef socket, int wanted_listening) {
    MFD_TRY(const int domain, socket_option(socket, SO_DOMAIN));
    MFD_TRY(const int type, socket_option(socket, SO_TYPE));
    MFD_TRY(const int listening, socket_option(socket, SO_ACCEPTCONN));
    if (domain != AF_UNIX || type != SOCK_STREAM || listening != wanted_listening)
        return Error{Errc::BadArgument, "inherited descriptor " + std::to_string(socket.get()) +
                                            " is not a " +
                                            (wanted_listening != 0 ? "listening" : "connected") +
                                            " unix stream socket"};
    const int flags = ::fcntl(socket.get(), F_GETFL);
    if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0 ||
        ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0)
        return make_sys_error(
            "inherited descriptor " + std::to_string(socket.get()) + ": set its flags", errno);
    return {};
}

} // namespace

Reception receive(FdRef socket, std::span<char> buffer) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(limits::kDescriptorsPerMessage * sizeof(int))>
        control{};
    iovec vector{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t count = ::recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count < 0) {
        const bool later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        return {.what = later ? Received::Nothing : Received::Failed, .error = errno};
    }
    UniqueFd fd = take_first_descriptor(message);
    if (count == 0)
        return {.what = Received::End};
    return {.what = Received::Bytes,
            .bytes = static_cast<std::size_t>(count),
            .fd = std::move(fd),
            .lost_descriptors = (message.msg_flags & MSG_CTRUNC) != 0};
}

Peer peer_of(FdRef socket) {
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return {};
    return {credentials.pid, credentials.uid, credentials.gid};
}

bool is_hung_up(FdRef socket) {
    pollfd entry{socket.get(), 0, 0};
    return ::poll(&entry, 1, 0) == 1 && (entry.revents & (POLLHUP | POLLERR)) != 0;
}

Result<UniqueFd> make_listening_socket(const std::string& path, mode_t mode,
                                       std::optional<gid_t> group) {
    MFD_TRY(const sockaddr_un address, make_address(path));
    MFD_CHECK(remove_stale_socket(path, address));
    MFD_TRY(UniqueFd fd, make_socket(path));
    // The mode of the unbound socket is that of the file bind makes, so nobody can connect in the
    // moment before chmod, which undoes what the umask took away.
    if (::fchmod(fd.get(), mode) != 0)
        return make_sys_error("listen on '" + path + "': set the mode", errno);
    if (::bind(fd.get(), as_sockaddr(address), sizeof(address)) != 0)
        return make_sys_error("listen on '" + path + "': bind", errno);
    // Nobody can connect before listen(). The mode comes last, since a change of group may clear
    // bits of it.
    const bool listens = (!group || ::lchown(path.c_str(), static_cast<uid_t>(-1), *group) == 0) &&
                         ::chmod(path.c_str(), mode) == 0 &&
                         ::listen(fd.get(), limits::kListenBacklog) == 0;
    if (!listens) {
        const int error = errno;
        (void)::unlink(path.c_str());
        return make_sys_error("listen on '" + path + "'", error);
    }
    return fd;
}

Result<void> check_listening_socket(FdRef socket) {
    return check_unix_stream(socket, 1);
}

Result<void> check_connected_socket(FdRef socket) {
    return check_unix_stream(socket, 0);
}

} // namespace mfd::qmp
