// One client: its socket and its session. Control thread. Lives until close(); whoever started it
// is told then, once.
//
// A connection ends when the client has closed its sending side and everything it had sent is
// answered and written; when the client is gone and nothing is left to start; when an event finds
// too many unread ones before it; and at shutdown.
#pragma once

#include "qmp/session.hpp"

#include <boost/asio/local/stream_protocol.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mfd::qmp {

class Connection : public std::enable_shared_from_this<Connection> {
public:
    using Closed = std::function<void(const std::shared_ptr<Connection>&)>;

    Connection(boost::asio::local::stream_protocol::socket socket, const Dispatcher& dispatcher,
               ListenOptions options, Closed closed);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    void start();
    void send_event(const std::string& line);
    // Starts no further command and closes when everything is written.
    void finish();
    void close();

private:
    void read();
    void on_readable();
    void watch_hangup();
    void send(std::string line);
    void write();
    void on_written(const boost::system::error_code& error);
    void settle();
    [[nodiscard]] std::size_t unsent_bytes() const { return waiting_.size() + writing_.size(); }

    boost::asio::local::stream_protocol::socket socket_;
    Peer peer_;
    std::shared_ptr<Session> session_;
    Closed closed_;
    std::vector<char> buffer_;
    std::string waiting_; // lines behind those being written
    std::string writing_;
    std::size_t waiting_event_bytes_ = 0;
    bool reading_ = false;
    bool write_running_ = false;
    bool input_ended_ = false;
    bool hung_up_ = false;
    bool unreachable_ = false; // writing failed: output is dropped, what was sent is still done
    bool finishing_ = false;
    bool open_ = true;
};

} // namespace mfd::qmp
