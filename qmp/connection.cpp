#include "qmp/connection.hpp"

#include "qmp/limits.hpp"
#include "qmp/socket_io.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <spdlog/spdlog.h>

#include <utility>

namespace mfd::qmp {

namespace {

using boost::asio::local::stream_protocol;
using boost::system::error_code;

} // namespace

Connection::Connection(stream_protocol::socket socket, const Dispatcher& dispatcher,
                       ListenOptions options, Closed closed)
    : socket_(std::move(socket)), peer_(peer_of(FdRef(socket_.native_handle()))),
      closed_(std::move(closed)), buffer_(limits::kReadBytes) {
    session_ = std::make_shared<Session>(
        socket_.get_executor(), dispatcher, peer_, std::move(options),
        SessionHooks{[this](std::string line) { send(std::move(line)); },
                     [this] { return unsent_bytes() < limits::kOutputPauseBytes; },
                     [this] { settle(); }});
}

Connection::~Connection() {
    session_->abandon();
}

void Connection::start() {
    spdlog::debug("Client connected: process {} of user {}", peer_.pid, peer_.uid);
    session_->greet();
    watch_hangup();
    settle();
}

// The greeting of a new session, and nothing else, may precede its first event.
void Connection::send_event(const std::string& line) {
    if (!open_ || !session_->in_command_mode())
        return;
    waiting_event_bytes_ += line.size();
    if (waiting_event_bytes_ > limits::kEventBacklogBytes) {
        spdlog::warn("Disconnected the client of process {}: it has not read {} bytes of events",
                     peer_.pid, waiting_event_bytes_);
        close();
        return;
    }
    send(line);
}

void Connection::finish() {
    finishing_ = true;
    session_->stop();
    // Not at once: the handler that ends the daemon may still be about to answer.
    boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->settle(); });
}

void Connection::close() {
    if (!std::exchange(open_, false))
        return;
    spdlog::debug("Client disconnected: process {}", peer_.pid);
    session_->abandon();
    error_code ignored;
    socket_.close(ignored); // NOLINT(bugprone-unused-return-value)
    closed_(shared_from_this());
}

// Everything that may have become possible after input, an answer or a completed write.
void Connection::settle() {
    if (!open_)
        return;
    const bool all_written = waiting_.empty() && writing_.empty();
    const bool done = (input_ended_ && session_->idle()) || finishing_;
    const bool pointless = hung_up_ && input_ended_ && session_->starts_nothing();
    if ((done && all_written) || pointless)
        close();
    else
        read();
}

void Connection::read() {
    if (reading_ || input_ended_ || !session_->wants_input())
        return;
    reading_ = true;
    socket_.async_wait(stream_protocol::socket::wait_read,
                       [self = shared_from_this()](const error_code& error) {
                           self->reading_ = false;
                           if (!error && self->open_)
                               self->on_readable();
                       });
}

void Connection::on_readable() {
    Reception got = receive(FdRef(socket_.native_handle()), buffer_);
    switch (got.what) {
    case Received::Bytes:
        if (got.lost_descriptors)
            spdlog::warn("Descriptors passed by process {} are lost: too many are open here",
                         peer_.pid);
        session_->receive(std::string(buffer_.data(), got.bytes), std::move(got.fd));
        return;
    case Received::Nothing:
        break;
    case Received::Failed: // ECONNRESET: the client left without reading all it was sent
        spdlog::debug("Read from the client of process {}: {}", peer_.pid, errno_text(got.error));
        hung_up_ = true;
        [[fallthrough]];
    case Received::End:
        input_ended_ = true;
        hung_up_ = hung_up_ || is_hung_up(FdRef(socket_.native_handle()));
        break;
    }
    settle();
}

// A client may go away while nothing is read from it, because a command of it runs or because it
// has to read first.
void Connection::watch_hangup() {
    socket_.async_wait(stream_protocol::socket::wait_error,
                       [self = shared_from_this()](const error_code& error) {
                           if (error || !self->open_)
                               return;
                           self->hung_up_ = is_hung_up(FdRef(self->socket_.native_handle()));
                           self->settle();
                       });
}

void Connection::send(std::string line) {
    if (unreachable_ || !open_)
        return;
    if (waiting_.empty())
        waiting_ = std::move(line);
    else
        waiting_ += line;
    if (!write_running_)
        write();
}

void Connection::write() {
    writing_ = std::exchange(waiting_, {});
    waiting_event_bytes_ = 0;
    if (writing_.empty())
        return;
    write_running_ = true;
    boost::asio::async_write(socket_, boost::asio::buffer(writing_),
                             [self = shared_from_this()](const error_code& error, std::size_t) {
                                 self->on_written(error);
                             });
}

void Connection::on_written(const error_code& error) {
    write_running_ = false;
    writing_.clear();
    if (!open_)
        return;
    if (error) {
        // The commands that were sent before the client stopped reading still count.
        unreachable_ = true;
        waiting_.clear();
    }
    write();
    session_->resume();
}

} // namespace mfd::qmp
