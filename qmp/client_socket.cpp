// The client's side of the wire: bytes and descriptors out, messages in.
#include "qmp/client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/socket.h>

namespace mfd::qmp {

namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10; // chosen: a few hundred messages at once

// poll(2) until the deadline, rounded up so that it never returns a moment too early. The result
// is that of poll: 0 means that the time is over.
int poll_until(std::span<pollfd> fds, std::chrono::steady_clock::time_point deadline) {
    for (;;) {
        const auto left = std::chrono::ceil<Millis>(deadline - std::chrono::steady_clock::now());
        const auto ms = std::clamp<Millis::rep>(left.count(), 0, 3'600'000);
        const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(ms));
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return ready;
        if (std::chrono::steady_clock::now() >= deadline)
            return 0;
    }
}

} // namespace

Error Client::lost(std::string how, int sys) {
    lost_ = Error{Errc::Io, "connection lost: " + std::move(how), sys};
    return *lost_;
}

// One sendmsg. Descriptors ride on the first byte of what it sends.
Result<std::size_t> Client::try_send(std::string_view bytes, std::span<const FdRef> fds) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()}; // sendmsg only reads it
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFdsPerMessage * sizeof(int))> control{};
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        std::array<int, kMaxFdsPerMessage> numbers{};
        std::transform(fds.begin(), fds.end(), numbers.begin(), [](FdRef fd) { return fd.get(); });
        std::memcpy(CMSG_DATA(header), numbers.data(), fds.size() * sizeof(int));
    }
    const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        return static_cast<std::size_t>(sent);
    if (errno == EAGAIN || errno == EINTR)
        return std::size_t{0};
    if (errno == EBADF)
        return Error{Errc::BadArgument, "pass a descriptor: it is not open", EBADF};
    if (errno == EPIPE || errno == ECONNRESET)
        return lost("the server closed it", errno);
    return lost(errno_text(errno), errno);
}

Result<void> Client::send_all(std::string_view bytes, std::span<const FdRef> fds,
                              Clock::time_point deadline) {
    if (lost_)
        return *lost_;
    if (fds.size() > kMaxFdsPerMessage)
        return Error{Errc::BadArgument, "at most 64 descriptors go with one command", 0};
    bool started = false;
    while (!bytes.empty()) {
        // Input is read meanwhile: a server that waits until its output is taken would otherwise
        // never come to read ours.
        std::array<pollfd, 1> poll_fds{pollfd{socket_.get(), POLLIN | POLLOUT, 0}};
        const int ready = poll_until(poll_fds, deadline);
        if (ready < 0)
            return make_sys_error("poll", errno);
        if (ready == 0) {
            // Half a request cannot be taken back: what follows would be read as its rest.
            const std::string_view how = "the server does not read its input";
            return started ? lost(std::string(how), ETIMEDOUT)
                           : Error{Errc::Io, std::string(how), ETIMEDOUT};
        }
        if ((poll_fds[0].revents & POLLIN) != 0)
            MFD_CHECK(read_some());
        if ((poll_fds[0].revents & (POLLOUT | POLLHUP | POLLERR)) == 0)
            continue;
        MFD_TRY(const auto sent, try_send(bytes, started ? std::span<const FdRef>() : fds));
        started = started || sent > 0;
        bytes.remove_prefix(sent);
    }
    return {};
}

Result<bool> Client::wait_input(Clock::time_point deadline, Interruptible interruptible) {
    if (lost_)
        return *lost_;
    const bool watch = interruptible == Interruptible::Yes && interrupt_.valid();
    std::array<pollfd, 2> poll_fds{pollfd{socket_.get(), POLLIN, 0},
                                   pollfd{watch ? interrupt_.get() : -1, POLLIN, 0}};
    const int ready = poll_until(poll_fds, deadline);
    if (ready < 0)
        return make_sys_error("poll", errno);
    // The socket goes first: what has arrived before the interruption is worth having.
    if (poll_fds[0].revents != 0)
        return true;
    if (poll_fds[1].revents != 0)
        return Error{Errc::Cancelled, "interrupted", 0};
    return false;
}

Result<void> Client::read_some() {
    const std::size_t before = input_.size();
    input_.resize(before + kReadBytes);
    const ssize_t got = ::recv(socket_.get(), input_.data() + before, kReadBytes, MSG_DONTWAIT);
    const int sys = got < 0 ? errno : 0;
    input_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0)
        return lost(before == 0 ? "the server closed it" : "the server closed it within a message",
                    0);
    if (sys != 0 && sys != EAGAIN && sys != EINTR)
        return lost(sys == ECONNRESET ? "the server closed it" : errno_text(sys), sys);
    return {};
}

Result<void> Client::sort_input() {
    std::size_t start = 0;
    for (;;) {
        const std::size_t end = input_.find('\n', std::max(start, scanned_));
        if (end == std::string::npos)
            break;
        MFD_CHECK(sort_message(std::string_view(input_).substr(start, end - start)));
        start = end + 1;
    }
    input_.erase(0, start);
    scanned_ = input_.size();
    if (input_.size() > kMaxMessageBytes)
        return lost("a message of the server exceeds 64 MiB", 0);
    return {};
}

Result<void> Client::sort_message(std::string_view text) {
    // A server may put white space between messages, so an empty line is one.
    if (text.find_first_not_of(" \t\r") == std::string_view::npos)
        return {};
    Json message = Json::parse(text, nullptr, false);
    if (!message.is_object())
        return lost("the server sent what is no QMP message", 0);
    if (message.contains("event") && message["event"].is_string()) {
        queue_event(std::move(message));
        return {};
    }
    const auto error = message.find("error");
    const bool sound_error =
        error == message.end() ||
        (error->is_object() && error->contains("desc") && (*error)["desc"].is_string() &&
         error->contains("class") && (*error)["class"].is_string());
    if (!sound_error ||
        (error == message.end() && !message.contains("return") && !message.contains("QMP")))
        return lost("the server sent what is neither greeting, reply nor event", 0);
    // Replies to calls that were given up pile up only while nobody calls; one call sheds them.
    if (replies_.size() == kMaxQueuedEvents)
        replies_.pop_front();
    replies_.push_back(std::move(message));
    return {};
}

void Client::queue_event(Json message) {
    Event event;
    event.name = message["event"].get<std::string>();
    event.data = message.value("data", Json::object());
    event.raw = std::move(message);
    if (callback_ && !callback_(event))
        return;
    if (events_.size() == kMaxQueuedEvents) {
        events_.pop_front();
        ++dropped_events_;
    }
    events_.push_back(std::move(event));
}

Result<std::optional<Json>> Client::next_reply(Clock::time_point deadline,
                                               Interruptible interruptible) {
    for (;;) {
        MFD_CHECK(sort_input());
        if (!replies_.empty()) {
            std::optional<Json> first = std::move(replies_.front());
            replies_.pop_front();
            return first;
        }
        MFD_TRY(const auto ready, wait_input(deadline, interruptible));
        if (!ready)
            return std::optional<Json>();
        MFD_CHECK(read_some());
    }
}

} // namespace mfd::qmp
