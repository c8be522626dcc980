// Who may connect to a listening socket: users and groups, checked when a client is accepted, by
// the credentials it had when it connected. Control thread.
#pragma once

#include "channels/unique_fd.hpp"
#include "qmp/call.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include <sys/types.h>

namespace mfd::qmp {

// A client is let in by its user or by any of its groups.
struct AllowedPeers {
    std::vector<uid_t> users;
    std::vector<gid_t> groups;

    [[nodiscard]] bool admit(const Peer& peer, std::span<const gid_t> supplementary) const;
};

// The user this process runs as, root, and the group of the socket's file: whoever can change the
// file's mode, and whom it was given to.
AllowedPeers default_peers(FdRef listening_socket);

// Whether the client at the other end of `socket` may stay. Where the kernel does not tell who it
// is, it may not.
bool may_connect(const AllowedPeers& allowed, FdRef socket);

// Reports refused clients, at most one in kRefusalLogPause: whoever connects in a loop does not
// fill the log.
class RefusalLog {
public:
    using Clock = std::chrono::steady_clock;
    void refused(const Peer& peer, Clock::time_point now);

private:
    Clock::time_point silent_until_;
    std::uint64_t unreported_ = 0;
};

} // namespace mfd::qmp
