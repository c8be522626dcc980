// The protocol of one connection, without its socket: greeting, negotiation, the order of commands
// and replies, descriptors that wait for a command. Control thread. Owned by a Connection; answers
// that come after it is gone are dropped.
//
// In-band commands run one after the other: the next starts when the one before is answered.
// Without out-of-band execution nothing is read ahead of the running command; with it, up to
// limits::kQueuedRequests are, so that an exec-oob behind them is found and runs at once.
#pragma once

#include "qmp/dispatcher.hpp"
#include "qmp/json_framer.hpp"
#include "qmp/server.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace mfd::qmp {

// What a session needs of the connection around it. Called on the control thread, until abandon().
struct SessionHooks {
    std::function<void(std::string line)> send;
    // False while the client has too much to read: no further command is started then.
    std::function<bool()> may_start;
    // Something was taken off the input, answered, or both: look at wants_input() and idle() again.
    std::function<void()> settled;
};

class Session : public std::enable_shared_from_this<Session> {
public:
    Session(boost::asio::any_io_executor executor, const Dispatcher& dispatcher, Peer peer,
            ListenOptions options, SessionHooks hooks);

    void greet();
    // Takes the next bytes of the client and the descriptor that came with them, if any. Only when
    // wants_input().
    void receive(std::string bytes, UniqueFd fd);
    // Goes on after may_start() has become true again.
    void resume();
    // Starts nothing more. Calls that run may still be answered.
    void stop();
    // The client is gone: nothing is sent any more, and what it passed is closed.
    void abandon();

    [[nodiscard]] bool wants_input() const { return !stopped_ && input_.empty(); }
    [[nodiscard]] bool in_command_mode() const { return mode_ == Mode::Command; }
    // All that was received completely is carried out, or (starts_nothing) at least running.
    [[nodiscard]] bool starts_nothing() const {
        return stopped_ || (queue_.empty() && input_.empty());
    }
    [[nodiscard]] bool idle() const { return starts_nothing() && !running_; }

private:
    enum class Mode : std::uint8_t { Negotiation, Command };

    struct Queued {
        std::variant<Request, Failure> request;
        std::optional<Json> id;
        std::shared_ptr<FdSlot> fds;
        std::size_t bytes = 0;
    };

    void pump();
    bool advance();
    bool may_read_ahead() const;
    void take_message(JsonItem item, std::size_t bytes);
    void carry_out(Queued queued);
    std::optional<Failure> refuse(const Request& request, const Command* command) const;
    Outcome negotiate(const Json& arguments);
    void start_call(const Command& command, Request request, Queued queued);
    void finish_call(const Command& command, Band band, const std::optional<Json>& id,
                     const Outcome& outcome);
    void send(const Outcome& outcome, const std::optional<Json>& id);

    boost::asio::any_io_executor executor_;
    const Dispatcher& dispatcher_;
    Peer peer_;
    ListenOptions options_;
    SessionHooks hooks_;

    Mode mode_ = Mode::Negotiation;
    Band allowed_band_ = Band::InBand;
    JsonFramer framer_;
    std::string input_; // received, input_used_ bytes of it consumed; empty when all are
    std::size_t input_used_ = 0;
    std::size_t message_bytes_ = 0; // of the message being read
    std::deque<Queued> queue_;
    std::size_t queued_bytes_ = 0;
    std::shared_ptr<FdSlot> fds_;
    bool running_ = false; // an in-band command is
    bool pumping_ = false;
    bool turn_posted_ = false; // the loop goes on by itself
    bool stopped_ = false;
    bool abandoned_ = false;
};

} // namespace mfd::qmp
