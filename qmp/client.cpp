#include "qmp/client.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

namespace mfd::qmp {

namespace {

// Prefix of our ids, so that a reply to somebody else's leftovers is never taken for ours.
constexpr std::string_view kIdPrefix = "mfd-";

std::string reason_not_connected(const std::string& path, int sys) {
    struct stat there {};
    if (sys == ECONNREFUSED && ::stat(path.c_str(), &there) == 0 && !S_ISSOCK(there.st_mode))
        sys = ENOTSOCK; // as the kernel says of sockets alone
    switch (sys) {
    case ENOENT:
        return "no such socket (is the daemon running, and is this its path?)";
    case ECONNREFUSED:
        return "nothing listens there (the daemon that made the socket is gone)";
    case EACCES:
    case EPERM:
        return "permission denied (run as the user or group that owns the socket)";
    case ENOTSOCK:
        return "not a socket";
    case EPROTOTYPE:
        return "not a stream socket";
    case EAGAIN:
        return "timed out: the server does not accept connections";
    default:
        return errno_text(sys);
    }
}

// Waits in connect(2) itself: a full backlog of a unix socket cannot be polled for, it ends a
// non-blocking connect with EAGAIN.
Result<UniqueFd> connect_socket(const std::string& path, Millis timeout) {
    const std::string what = "connect to " + path;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path))
        return Error{Errc::BadArgument, what + ": a socket's path has 1 to 107 bytes", 0};
    std::memcpy(address.sun_path, path.data(), path.size());

    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd.valid())
        return make_sys_error(what, errno);
    // A zero would mean no limit.
    const auto micros = std::max<std::int64_t>(timeout.count(), 1) * 1000;
    const timeval limit{micros / 1'000'000, micros % 1'000'000};
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
        return make_sys_error(what, errno);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        const int sys = errno;
        const Errc code = sys == ENOENT || sys == ECONNREFUSED ? Errc::NotFound : Errc::Io;
        return Error{code, what + ": " + reason_not_connected(path, sys), sys};
    }
    return fd;
}

std::optional<CallError> error_of(const Json& reply) {
    const auto error = reply.find("error");
    if (error == reply.end())
        return std::nullopt;
    return CallError{error->value("class", "GenericError"), error->value("desc", "")};
}

// A Json converts to almost everything, so a Result cannot tell by itself which side it belongs to.
Result<Json> value_result(Json value) {
    return Result<Json>(boost::system::in_place_value, std::move(value));
}

// Without an id it can only be ours: the server could not read the request. Another id belongs to a
// call that was given up earlier.
bool answers(const Json& reply, const std::string& id) {
    const auto reply_id = reply.find("id");
    return reply_id == reply.end() || *reply_id == Json(id);
}

Json request_of(std::string_view command, Json arguments) {
    Json request{{"execute", command}};
    if (!arguments.empty())
        request["arguments"] = std::move(arguments);
    return request;
}

Reply reply_of(Json answer) {
    Reply reply;
    reply.error = error_of(answer);
    if (const auto value = answer.find("return"); value != answer.end())
        reply.value = std::move(*value);
    return reply;
}

} // namespace

Result<Client> Client::connect(const std::string& path, const ConnectOptions& options) {
    const auto deadline = Clock::now() + options.timeout;
    MFD_TRY(auto fd, connect_socket(path, options.timeout));
    ConnectOptions rest = options;
    rest.timeout = std::chrono::duration_cast<Millis>(deadline - Clock::now());
    auto client = adopt(std::move(fd), rest);
    if (!client)
        return with_context("connect to " + path, std::move(client).error());
    return client;
}

Result<Client> Client::adopt(UniqueFd socket, const ConnectOptions& options) {
    Client client(std::move(socket));
    MFD_CHECK(client.negotiate(options, Clock::now() + options.timeout));
    return client;
}

Result<void> Client::negotiate(const ConnectOptions& options, Clock::time_point deadline) {
    interrupt_ = options.interrupt;
    auto greeting = next_reply(deadline, Interruptible::Yes);
    if (!greeting)
        return std::move(greeting).error();
    if (!greeting->has_value())
        return Error{Errc::Io,
                     "no greeting: a server has one client at a time on a socket, and "
                     "somebody else seems to be connected",
                     ETIMEDOUT};
    const auto qmp = (*greeting)->find("QMP");
    if (qmp == (*greeting)->end() || !qmp->is_object())
        return Error{Errc::BadFormat, "what answers there does not speak QMP: no greeting", 0};
    greeting_ = *qmp;

    Json request{{"execute", "qmp_capabilities"}};
    if (options.enable_oob)
        request["arguments"] = {{"enable", Json::array({"oob"})}};
    MFD_TRY(const auto reply, exchange_until(std::move(request), {}, deadline));
    if (const auto error = error_of(reply))
        return Error{Errc::Unsupported, "negotiation refused: " + error->desc, 0};
    return {};
}

Result<Json> Client::exchange(Json request, const CallOptions& options) {
    return exchange_until(std::move(request), options.fds, Clock::now() + options.timeout);
}

Result<std::string> Client::send_request(Json request, std::span<const FdRef> fds,
                                         Clock::time_point deadline) {
    const std::string id = std::string(kIdPrefix) + std::to_string(next_id_++);
    request["id"] = id;
    // Text that is no UTF-8 goes out as U+FFFD instead of ending in an exception.
    MFD_CHECK(send_all(request.dump(-1, ' ', true, Json::error_handler_t::replace) + "\r\n", fds,
                       deadline));
    return id;
}

Result<Json> Client::exchange_until(Json request, std::span<const FdRef> fds,
                                    Clock::time_point deadline) {
    if (!request.is_object())
        return Error{Errc::BadArgument, "a QMP request is a JSON object", 0};
    std::optional<Json> own_id;
    if (const auto given = request.find("id"); given != request.end())
        own_id = *given;
    MFD_TRY(const std::string id, send_request(std::move(request), fds, deadline));
    for (;;) {
        MFD_TRY(auto reply, next_reply(deadline));
        if (!reply.has_value())
            return Error{Errc::Io, "no reply in time", ETIMEDOUT};
        if (!answers(*reply, id))
            continue;
        reply->erase("id");
        if (own_id.has_value())
            (*reply)["id"] = *std::move(own_id);
        return value_result(*std::move(reply));
    }
}

Result<Client::Ticket> Client::start(std::string_view command, Json arguments,
                                     const CallOptions& options) {
    const Ticket ticket = next_id_;
    MFD_CHECK(send_request(request_of(command, std::move(arguments)), options.fds,
                           Clock::now() + options.timeout));
    return ticket;
}

Result<std::optional<Reply>> Client::finish(Ticket ticket, Millis timeout) {
    const auto deadline = Clock::now() + timeout;
    const std::string id = std::string(kIdPrefix) + std::to_string(ticket);
    for (;;) {
        MFD_TRY(auto answer, next_reply(deadline, Interruptible::Yes));
        if (!answer.has_value())
            return std::optional<Reply>();
        if (answers(*answer, id))
            return std::optional(reply_of(*std::move(answer)));
    }
}

Result<Reply> Client::execute(std::string_view command, Json arguments,
                              const CallOptions& options) {
    auto answer = exchange(request_of(command, std::move(arguments)), options);
    if (!answer)
        return with_context(std::string(command), std::move(answer).error());
    return reply_of(*std::move(answer));
}

Result<Json> Client::call(std::string_view command, Json arguments, const CallOptions& options) {
    MFD_TRY(auto reply, execute(command, std::move(arguments), options));
    if (reply.error) {
        const bool unknown = reply.error->error_class == "CommandNotFound";
        return Error{unknown ? Errc::NotFound : Errc::BadArgument,
                     std::string(command) + ": " + reply.error->desc, 0};
    }
    return value_result(std::move(reply.value));
}

Result<std::optional<Event>> Client::wait_event(const EventPredicate& wanted, Millis timeout) {
    const auto deadline = Clock::now() + timeout;
    std::size_t seen = 0;
    for (;;) {
        MFD_CHECK(sort_input());
        // The queue sheds its oldest when it is full, so positions in it may have moved.
        for (seen = std::min(seen, events_.size()); seen < events_.size(); ++seen) {
            const auto at = events_.begin() + static_cast<std::ptrdiff_t>(seen);
            if (!wanted(*at))
                continue;
            std::optional<Event> found = std::move(*at);
            events_.erase(at);
            return found;
        }
        MFD_TRY(const auto ready, wait_input(deadline, Interruptible::Yes));
        if (!ready)
            return std::optional<Event>();
        MFD_CHECK(read_some());
    }
}

Result<std::optional<Event>> Client::wait_event(std::string_view name, Millis timeout) {
    return wait_event([name](const Event& event) { return event.name == name; }, timeout);
}

Result<void> Client::receive_available() {
    for (;;) {
        MFD_CHECK(sort_input());
        MFD_TRY(const auto ready, wait_input(Clock::now(), Interruptible::No));
        if (!ready)
            return {};
        MFD_CHECK(read_some());
    }
}

std::optional<Event> Client::take_event() {
    if (events_.empty())
        return std::nullopt;
    std::optional<Event> first = std::move(events_.front());
    events_.pop_front();
    return first;
}

} // namespace mfd::qmp
