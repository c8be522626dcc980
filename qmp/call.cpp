#include "qmp/call.hpp"

#include <stdexcept>
#include <utility>

namespace mfd::qmp {

Outcome::Outcome(const Result<Json>& result) {
    if (result.has_value())
        value_ = *result;
    else
        value_ = to_failure(result.error());
}

Outcome::Outcome(const Result<void>& result) {
    if (result.has_value())
        value_ = Json::object();
    else
        value_ = to_failure(result.error());
}

Call::Call(std::string command, Json arguments, Peer peer, std::shared_ptr<FdSlot> fds,
           Deliver deliver)
    : command_(std::move(command)), arguments_(std::move(arguments)), peer_(peer),
      fds_(std::move(fds)), deliver_(std::move(deliver)) {}

// A moved-from std::function may keep its target, and a moved-from call must not answer.
Call::Call(Call&& other) noexcept
    : command_(std::move(other.command_)), arguments_(std::move(other.arguments_)),
      peer_(other.peer_), fds_(std::move(other.fds_)),
      deliver_(std::exchange(other.deliver_, nullptr)) {}

Call& Call::operator=(Call&& other) noexcept {
    Call moved(std::move(other));
    std::swap(command_, moved.command_);
    std::swap(arguments_, moved.arguments_);
    std::swap(peer_, moved.peer_);
    std::swap(fds_, moved.fds_);
    std::swap(deliver_, moved.deliver_);
    return *this;
}

Call::~Call() {
    if (deliver_)
        answer(generic("The command " + command_ + " ended without an answer"));
}

std::optional<UniqueFd> Call::take_fd() {
    if (!fds_ || !fds_->fd.valid())
        return std::nullopt;
    return std::move(fds_->fd);
}

void Call::answer(Outcome outcome) {
    const Deliver deliver = std::exchange(deliver_, nullptr);
    if (!deliver)
        throw std::logic_error("the command " + command_ + " was answered twice");
    deliver(std::move(outcome));
}

Handler immediate(std::function<Outcome(const Json& arguments)> handler) {
    return [handler = std::move(handler)](Call call) { call.answer(handler(call.arguments())); };
}

} // namespace mfd::qmp
