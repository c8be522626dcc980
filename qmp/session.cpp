#include "qmp/session.hpp"

#include "qmp/limits.hpp"
#include "qmp/schema_check.hpp"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include <utility>

namespace mfd::qmp {

Session::Session(boost::asio::any_io_executor executor, const Dispatcher& dispatcher, Peer peer,
                 ListenOptions options, SessionHooks hooks)
    : executor_(std::move(executor)), dispatcher_(dispatcher), peer_(peer),
      options_(std::move(options)), hooks_(std::move(hooks)), fds_(std::make_shared<FdSlot>()) {}

void Session::greet() {
    hooks_.send(encode_greeting(dispatcher_.version()));
}

void Session::receive(std::string bytes, UniqueFd fd) {
    // Commands queued before this keep the slot they were read with.
    // Where only queries are served no command takes one.
    if (options_.exposure == Exposure::QueriesOnly)
        fd.reset();
    if (fd.valid()) {
        fds_ = std::make_shared<FdSlot>();
        fds_->fd = std::move(fd);
    }
    input_ = std::move(bytes);
    input_used_ = 0;
    pump();
}

void Session::resume() {
    pump();
}

void Session::stop() {
    stopped_ = true;
    queue_.clear();
    queued_bytes_ = 0;
    input_.clear();
}

void Session::abandon() {
    stop();
    abandoned_ = true;
    fds_->fd.reset();
}

// Does what can be done now. A client that sends faster than we work leaves the thread to others
// after each turn.
void Session::pump() {
    if (pumping_) // a command that was answered at once: the loop below goes on
        return;
    pumping_ = true;
    std::size_t left = limits::kMessagesPerTurn;
    while (left > 0 && advance())
        --left;
    pumping_ = false;
    if (left == 0 && !std::exchange(turn_posted_, true))
        boost::asio::post(executor_, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) {
                self->turn_posted_ = false;
                self->pump();
            }
        });
    if (!abandoned_)
        hooks_.settled();
}

// Starts a queued command or reads another message; false if there is nothing to do for now.
bool Session::advance() {
    if (stopped_ || !hooks_.may_start())
        return false;
    if (!running_ && !queue_.empty()) {
        Queued next = std::move(queue_.front());
        queue_.pop_front();
        queued_bytes_ -= next.bytes;
        carry_out(std::move(next));
        return true;
    }
    if (input_.empty() || !may_read_ahead())
        return false;
    std::string_view rest = std::string_view(input_).substr(input_used_);
    const std::size_t before = rest.size();
    auto item = framer_.next(rest);
    message_bytes_ += before - rest.size();
    input_used_ = input_.size() - rest.size();
    if (rest.empty())
        input_.clear();
    if (!item)
        return false;
    take_message(std::move(*item), std::exchange(message_bytes_, 0));
    return true;
}

bool Session::may_read_ahead() const {
    if (allowed_band_ == Band::InBand)
        return !running_ && queue_.empty();
    return queue_.size() < limits::kQueuedRequests && queued_bytes_ < limits::kQueuedRequestBytes;
}

void Session::take_message(JsonItem item, std::size_t bytes) {
    Queued queued{.request = Failure{}, .id = std::nullopt, .fds = fds_, .bytes = bytes};
    if (auto* fault = std::get_if<JsonFault>(&item)) {
        queued.request = generic(std::move(fault->desc));
    } else {
        Json& message = std::get<Json>(item);
        queued.id = take_id(message);
        queued.request = decode_request(std::move(message), allowed_band_);
    }
    const auto* request = std::get_if<Request>(&queued.request);
    if (request != nullptr && request->band == Band::OutOfBand) {
        carry_out(std::move(queued));
        return;
    }
    queued_bytes_ += bytes;
    queue_.push_back(std::move(queued));
}

void Session::carry_out(Queued queued) {
    auto* request = std::get_if<Request>(&queued.request);
    if (request == nullptr) {
        send(std::get<Failure>(std::move(queued.request)), queued.id);
        return;
    }
    const Command* command = dispatcher_.find_command(request->command);
    if (auto failure = refuse(*request, command)) {
        send(std::move(*failure), queued.id);
        return;
    }
    if (auto fault = schema::check(*command->arguments, request->arguments)) {
        send(generic(std::move(*fault)), queued.id);
        return;
    }
    if (mode_ == Mode::Negotiation) {
        send(negotiate(request->arguments), queued.id);
        return;
    }
    Request taken = std::move(*request);
    start_call(*command, std::move(taken), std::move(queued));
}

// What keeps a well-formed request from being looked at any further.
std::optional<Failure> Session::refuse(const Request& request, const Command* command) const {
    const auto not_found = [](std::string desc) {
        return Failure{ErrorClass::CommandNotFound, std::move(desc)};
    };
    if (mode_ == Mode::Negotiation && request.command != kNegotiate)
        return not_found("Expecting capabilities negotiation with 'qmp_capabilities'");
    if (command == nullptr)
        return not_found("The command " + request.command + " has not been found");
    if (request.band == Band::OutOfBand && command->out_of_band == OutOfBand::Refused)
        return generic("The command " + request.command + " does not support OOB");
    if (options_.exposure == Exposure::QueriesOnly && command->access != Access::Query)
        return generic("The command " + request.command +
                       " is not served on this socket, which is for queries only");
    if (options_.access_check)
        if (auto failure = options_.access_check(peer_, *command))
            return failure;
    if (mode_ == Mode::Command && request.command == kNegotiate)
        return not_found("Capabilities negotiation is already complete, command ignored");
    return std::nullopt;
}

Outcome Session::negotiate(const Json& arguments) {
    const auto enable = arguments.find("enable");
    // The declaration lets no other value in than oob.
    if (enable != arguments.end() && !enable->empty())
        allowed_band_ = Band::OutOfBand;
    mode_ = Mode::Command;
    return Json::object();
}

void Session::start_call(const Command& command, Request request, Queued queued) {
    const Band band = request.band;
    if (band == Band::InBand)
        running_ = true;
    // Answers on the control thread are delivered within the call, so that they keep their place
    // among the events; others are posted.
    auto deliver = [weak = weak_from_this(), executor = executor_, &dispatcher = dispatcher_,
                    &command, band, id = std::move(queued.id)](Outcome outcome) mutable {
        boost::asio::dispatch(executor, [weak, &dispatcher, &command, band, id = std::move(id),
                                         outcome = std::move(outcome)] {
            dispatcher.carried_out(command); // also for a client that has left
            if (const auto self = weak.lock())
                self->finish_call(command, band, id, outcome);
        });
    };
    command.handler(Call(std::move(request.command), std::move(request.arguments), peer_,
                         std::move(queued.fds), std::move(deliver)));
}

void Session::finish_call(const Command& command, Band band, const std::optional<Json>& id,
                          const Outcome& outcome) {
    if (const Json* value = outcome.value())
        if (const auto mismatch = schema::find_mismatch(*command.returns, *value))
            spdlog::error("The reply of {} is not as declared: {}", command.name, *mismatch);
    send(outcome, id);
    if (band == Band::InBand)
        running_ = false;
    pump();
}

void Session::send(const Outcome& outcome, const std::optional<Json>& id) {
    if (abandoned_)
        return;
    hooks_.send(outcome.value() != nullptr ? encode_reply(*outcome.value(), id)
                                           : encode_failure(*outcome.failure(), id));
}

} // namespace mfd::qmp
