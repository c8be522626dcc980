// The QMP server: any number of listening unix sockets, on each of them one client at a time, as in
// QEMU. Everything happens on the one thread that runs the io_context (the control thread).
//
// The Server owns listeners and connections. Its dispatcher and the io_context outlive it.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "qmp/dispatcher.hpp"
#include "qmp/peer_access.hpp"

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace mfd::qmp {

// Asked before a command of a client is carried out: nothing lets it pass, a Failure is the reply.
using AccessCheck = std::function<std::optional<Failure>(const Peer&, const Command&)>;

enum class Exposure : std::uint8_t {
    Full,
    QueriesOnly, // events and commands with Access::Query
};

struct ListenOptions {
    Exposure exposure = Exposure::Full;
    mode_t mode = 0600;                     // of a socket made from a path
    std::optional<gid_t> group = {};        // of its file; nothing: the process's
    std::optional<AllowedPeers> peers = {}; // nothing: default_peers()
    AccessCheck access_check = {};
};

class Server {
public:
    Server(boost::asio::io_context& io, const Dispatcher& dispatcher);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    // Closes every connection at once and removes the sockets made by listen().
    ~Server();

    // Makes a socket at `path` and serves it. One that a dead process left there is replaced; one
    // that a process still listens on, or a file that is no socket, is an error.
    Result<void> listen(const std::string& path, ListenOptions options = {});
    // Serves a unix stream socket that already listens (inherited from a service manager).
    Result<void> adopt_listener(UniqueFd socket, ListenOptions options = {});
    // Serves one connected unix stream socket, beside the listeners.
    Result<void> adopt_connection(UniqueFd socket, ListenOptions options = {});

    // Sends an event to every client in command mode. The name must be declared, and the data as
    // well.
    void emit(std::string_view event, const std::optional<Json>& data = std::nullopt);

    // Takes no further commands and connections, waits until the clients have read what was sent to
    // them (limits::kFlushTimeout at most), closes everything, then calls `then` from the event
    // loop. The way a handler ends the daemon: call.reply(); server.shutdown([&] { io.stop(); });
    void shutdown(std::function<void()> then);

    // Clients being served now.
    [[nodiscard]] std::size_t connection_count() const;

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace mfd::qmp
