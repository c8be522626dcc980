// One command of one client while it is being carried out: what the handler is given, and through
// which it answers, at once or later.
//
// Handlers run on the control thread. A Call may be moved to another thread and answered or
// destroyed there: the answer travels to the control thread by itself. It must be gone before the
// io_context is.
#pragma once

#include "channels/unique_fd.hpp"
#include "qmp/json.hpp"
#include "qmp/message.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include <sys/types.h>

namespace mfd::qmp {

// Who is at the other end of the socket, as of connect (SO_PEERCRED).
struct Peer {
    pid_t pid = 0;
    uid_t uid = static_cast<uid_t>(-1);
    gid_t gid = static_cast<gid_t>(-1);
};

// What a command led to. Handlers that answer at once return one.
class [[nodiscard]] Outcome {
public:
    // NOLINTBEGIN(google-explicit-constructor): a handler returns whichever it has.
    Outcome(Json value) : value_(std::move(value)) {}
    Outcome(Failure failure) : value_(std::move(failure)) {}
    Outcome(const Error& error) : value_(to_failure(error)) {}
    Outcome(const Result<Json>& result);
    Outcome(const Result<void>& result); // success is {}
    // NOLINTEND(google-explicit-constructor)

    [[nodiscard]] const Json* value() const { return std::get_if<Json>(&value_); }
    [[nodiscard]] const Failure* failure() const { return std::get_if<Failure>(&value_); }

private:
    std::variant<Json, Failure> value_;
};

// The descriptor a client passed and no command has taken yet. Commands read ahead share the slot
// with the connection, so that a descriptor goes to the commands it was sent with or before.
struct FdSlot {
    UniqueFd fd;
};

class Call {
public:
    // Delivers the answer; called exactly once, from whichever thread answers.
    using Deliver = std::function<void(Outcome)>;

    Call(std::string command, Json arguments, Peer peer, std::shared_ptr<FdSlot> fds,
         Deliver deliver);
    Call(Call&& other) noexcept;
    Call& operator=(Call&& other) noexcept;
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    // A call that nobody answered is answered with an error, so that the client does not wait
    // forever.
    ~Call();

    [[nodiscard]] const std::string& command() const { return command_; }
    // Checked against the declaration: what is there has the right type, what is required is there.
    [[nodiscard]] const Json& arguments() const { return arguments_; }
    [[nodiscard]] const Peer& peer() const { return peer_; }

    // The descriptor received with SCM_RIGHTS, if one is pending. Control thread only.
    std::optional<UniqueFd> take_fd();

    // Each call is answered once; a second answer is our own mistake.
    void reply(Json value = Json::object()) { answer(Outcome(std::move(value))); }
    void fail(Failure failure) { answer(Outcome(std::move(failure))); }
    void fail(const Error& error) { answer(Outcome(error)); }
    void answer(Outcome outcome);

private:
    std::string command_;
    Json arguments_;
    Peer peer_;
    std::shared_ptr<FdSlot> fds_;
    Deliver deliver_;
};

using Handler = std::function<void(Call)>;

// A handler that answers before it returns and needs only the arguments.
Handler immediate(std::function<Outcome(const Json& arguments)> handler);

} // namespace mfd::qmp
