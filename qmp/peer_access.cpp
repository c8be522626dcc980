#include "qmp/peer_access.hpp"

#include "qmp/limits.hpp"
#include "qmp/socket_io.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace mfd::qmp {

namespace {

// Empty where the kernel does not know (before Linux 4.13): the primary group still counts.
std::vector<gid_t> supplementary_groups(FdRef socket) {
    std::vector<gid_t> groups(32);
    for (;;) {
        auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
        const int refused =
            ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
        const std::size_t count = bytes / sizeof(gid_t);
        if (refused != 0 && (errno != ERANGE || count <= groups.size()))
            return {};
        groups.resize(count);
        if (refused == 0)
            return groups;
    }
}

} // namespace

bool AllowedPeers::admit(const Peer& peer, std::span<const gid_t> supplementary) const {
    const auto in_group = [this](gid_t group) {
        return std::find(groups.begin(), groups.end(), group) != groups.end();
    };
    return std::find(users.begin(), users.end(), peer.uid) != users.end() || in_group(peer.gid) ||
           std::any_of(supplementary.begin(), supplementary.end(), in_group);
}

AllowedPeers default_peers(FdRef listening_socket) {
    AllowedPeers allowed{.users = {0, ::geteuid()}, .groups = {}};
    sockaddr_un address{};
    socklen_t bytes = sizeof(address) - 1; // leaves a zero behind a path of full length
    struct stat status {};
    // A socket without a file, or whose file is gone, has no group.
    if (::getsockname(listening_socket.get(), reinterpret_cast<sockaddr*>(&address), &bytes) == 0 &&
        address.sun_family == AF_UNIX && address.sun_path[0] != '\0' &&
        ::stat(address.sun_path, &status) == 0 && S_ISSOCK(status.st_mode))
        allowed.groups.push_back(status.st_gid);
    return allowed;
}

bool may_connect(const AllowedPeers& allowed, FdRef socket) {
    const Peer peer = peer_of(socket);
    return peer.pid != 0 && allowed.admit(peer, supplementary_groups(socket));
}

void RefusalLog::refused(const Peer& peer, Clock::time_point now) {
    if (now < silent_until_) {
        ++unreported_;
        return;
    }
    silent_until_ = now + limits::kRefusalLogPause;
    const std::string more =
        unreported_ == 0 ? "" : " (and " + std::to_string(unreported_) + " clients before it)";
    unreported_ = 0;
    spdlog::warn("Refused the connection of process {}, user {}, group {}: not among those who may "
                 "connect (--allow-uid, --allow-gid){}",
                 peer.pid, peer.uid, peer.gid, more);
}

} // namespace mfd::qmp
