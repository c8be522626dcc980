// A listening unix socket that serves one client at a time, as QEMU does: others connect, and wait
// in the kernel's queue until the one before them is gone. Control thread; owned by the Server.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "qmp/server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <string>

#include <sys/types.h>

namespace mfd::qmp {

class Listener : public std::enable_shared_from_this<Listener> {
public:
    // Takes a new client. The listener accepts the next one after client_gone().
    using Accepted = std::function<void(Listener&, UniqueFd)>;

    // Closes clients that the options do not admit without a word; they take no turn.
    // `path` is empty for a socket that was inherited: only what we made is removed at the end.
    static Result<std::shared_ptr<Listener>> make(boost::asio::io_context& io, UniqueFd socket,
                                                  const std::string& path, ListenOptions options,
                                                  Accepted accepted);
    Listener(boost::asio::io_context& io, const std::string& path, ListenOptions options,
             Accepted accepted);
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener();

    void accept();
    void client_gone();
    void close();
    [[nodiscard]] const ListenOptions& options() const { return options_; }

private:
    void on_connect();
    void accept_later();

    boost::asio::local::stream_protocol::acceptor acceptor_;
    boost::asio::steady_timer retry_;
    std::string path_;
    ino_t inode_ = 0; // of the file at path_ as we made it
    ListenOptions options_;
    AllowedPeers allowed_;
    RefusalLog refusals_;
    Accepted accepted_;
};

} // namespace mfd::qmp
