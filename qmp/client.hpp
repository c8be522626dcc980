// A QMP client: connects to a server on a unix socket, negotiates, calls commands, passes
// descriptors, collects events. Speaks to multifdd and to QEMU alike.
//
// Synchronous, for one thread: nothing happens between calls. Every wait is bounded by a deadline,
// and what a server can make the client remember is bounded too. The client owns its socket.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "qmp/json.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd::qmp {

using Millis = std::chrono::milliseconds;

// An error reply, in the server's words.
struct CallError {
    std::string error_class; // GenericError, CommandNotFound, DeviceNotFound
    std::string desc;
};

// What the server answered: a value, or its error. Faults of the connection are in the Result.
struct Reply {
    Json value;
    std::optional<CallError> error;
    [[nodiscard]] bool ok() const { return !error.has_value(); }
};

struct Event {
    std::string name;
    Json data; // an empty object if the event has none
    Json raw;  // the whole message, with its timestamp
};

struct ConnectOptions {
    Millis timeout{10'000}; // for connecting, greeting and negotiation together
    bool enable_oob = false;
    FdRef interrupt{}; // as for interrupt_on(), while the greeting is waited for, too
};

struct CallOptions {
    std::span<const FdRef> fds{}; // sent with the first byte; the caller keeps its own
    Millis timeout{60'000};
};

class Client {
public:
    // Chosen limits. The largest reply known is query-qmp-schema with less than 1 MiB.
    static constexpr std::size_t kMaxMessageBytes = std::size_t{64} << 20;
    static constexpr std::size_t kMaxQueuedEvents = 4096;
    static constexpr std::size_t kMaxFdsPerMessage = 64;

    // Connects to the socket at `path`, reads the greeting and negotiates.
    static Result<Client> connect(const std::string& path, const ConnectOptions& options = {});
    // The same for a socket that is connected already.
    static Result<Client> adopt(UniqueFd socket, const ConnectOptions& options = {});

    Client(Client&&) noexcept = default;
    Client& operator=(Client&&) noexcept = default;

    // The member "QMP" of the server's greeting: version and capabilities.
    [[nodiscard]] const Json& greeting() const { return greeting_; }

    // Runs one command. A refusal by the server is a Reply with `error`.
    Result<Reply> execute(std::string_view command, Json arguments = Json::object(),
                          const CallOptions& options = {});
    // The same where a refusal is a failure like any other: its Error reads "command: desc", with
    // the code NotFound for an unknown command and BadArgument for all else.
    Result<Json> call(std::string_view command, Json arguments = Json::object(),
                      const CallOptions& options = {});
    // Sends a complete request object and returns the whole reply object. The request's own id
    // comes back in the reply; on the wire the client uses its own.
    Result<Json> exchange(Json request, const CallOptions& options = {});

    // A command whose reply is waited for later, in pieces: for users that have more to do than
    // wait.
    using Ticket = std::uint64_t;
    Result<Ticket> start(std::string_view command, Json arguments = Json::object(),
                         const CallOptions& options = {});
    // Its reply; nothing if that has not come within `timeout`. The error Cancelled as for
    // wait_event(); the reply can still be waited for then.
    Result<std::optional<Reply>> finish(Ticket ticket, Millis timeout);

    using EventPredicate = std::function<bool(const Event&)>;
    // The first event, queued or still to come, that `wanted` accepts; events before it stay
    // queued. Nothing if the time is over first. The error Cancelled when the descriptor given to
    // interrupt_on() becomes readable.
    Result<std::optional<Event>> wait_event(const EventPredicate& wanted, Millis timeout);
    Result<std::optional<Event>> wait_event(std::string_view name, Millis timeout);
    // Reads what has arrived, without waiting. For users that poll socket() themselves.
    Result<void> receive_available();
    // The oldest queued event, if there is one.
    std::optional<Event> take_event();
    // Called for every event as it arrives, also in the middle of a call. It must not use the
    // client. Events are queued all the same unless the callback returns false.
    void on_event(std::function<bool(const Event&)> callback) { callback_ = std::move(callback); }
    // Events that were dropped because nobody took them: the oldest go first.
    [[nodiscard]] std::uint64_t dropped_events() const { return dropped_events_; }

    // wait_event() and finish() end early when `fd` is readable. Calls are not interrupted.
    void interrupt_on(FdRef fd) { interrupt_ = fd; }
    [[nodiscard]] FdRef socket() const { return socket_.ref(); }

private:
    using Clock = std::chrono::steady_clock;

    explicit Client(UniqueFd socket) : socket_(std::move(socket)) {}

    Result<void> negotiate(const ConnectOptions& options, Clock::time_point deadline);
    // Sends the request with an id of our own, which it gives back.
    Result<std::string> send_request(Json request, std::span<const FdRef> fds,
                                     Clock::time_point deadline);
    Result<Json> exchange_until(Json request, std::span<const FdRef> fds,
                                Clock::time_point deadline);
    Result<void> send_all(std::string_view bytes, std::span<const FdRef> fds,
                          Clock::time_point deadline);
    Result<std::size_t> try_send(std::string_view bytes, std::span<const FdRef> fds);
    enum class Interruptible : std::uint8_t { No, Yes };
    // False once the deadline has passed.
    Result<bool> wait_input(Clock::time_point deadline, Interruptible interruptible);
    // What arrived goes to input_; call only when there is input.
    Result<void> read_some();
    // Cuts input_ into messages, which go to replies_ and events_.
    Result<void> sort_input();
    Result<void> sort_message(std::string_view text);
    void queue_event(Json message);
    Result<std::optional<Json>> next_reply(Clock::time_point deadline,
                                           Interruptible interruptible = Interruptible::No);
    Error lost(std::string how, int sys);

    UniqueFd socket_;
    FdRef interrupt_;
    Json greeting_;
    std::uint64_t next_id_ = 1;
    std::string input_;        // bytes of the message that is not complete yet, and those after it
    std::size_t scanned_ = 0;  // bytes of input_ that hold no line end
    std::deque<Json> replies_; // complete replies that nobody has looked at
    std::deque<Event> events_;
    std::uint64_t dropped_events_ = 0;
    std::function<bool(const Event&)> callback_;
    std::optional<Error> lost_; // why the connection is over
};

} // namespace mfd::qmp
