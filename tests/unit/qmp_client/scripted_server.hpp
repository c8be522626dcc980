// The far end of a client under test: a thread that plays a script on one end of a socket pair,
// with blocking calls only, so that no test depends on time. The script's own checks are collected
// and looked at when it has ended.
#pragma once

#include "qmp/client.hpp"

#include <sys/socket.h>

#include <array>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mfd::test {

inline constexpr std::string_view kGreeting =
    R"({"QMP": {"version": {"qemu": {"major": 10, "minor": 0, "micro": 2}, "package": ""}, )"
    R"("capabilities": ["oob"]}})";

class ScriptedServer {
public:
    explicit ScriptedServer(UniqueFd socket) : socket_(std::move(socket)) {}

    void send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0)
                throw std::runtime_error("the client is gone");
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    void line(const std::string& text) { send(text + "\r\n"); }

    // The next request. Descriptors that came with it go to `received`.
    qmp::Json request() {
        while (input_.find('\n') == std::string::npos)
            receive();
        const auto end = input_.find('\n');
        auto message = qmp::Json::parse(input_.substr(0, end));
        input_.erase(0, end + 1);
        return message;
    }
    // Answers a request with `value`.
    void reply(const qmp::Json& to, const qmp::Json& value) {
        line(qmp::Json{{"return", value}, {"id", to.at("id")}}.dump());
    }
    void greet() {
        line(std::string(kGreeting));
        reply(request(), qmp::Json::object());
    }
    void close() { socket_.reset(); }
    // Returns when the client has closed its end.
    void wait_for_close() {
        std::array<char, 4096> bytes{};
        while (::recv(socket_.get(), bytes.data(), bytes.size(), 0) > 0) {
        }
    }

    std::vector<UniqueFd> received;

private:
    void receive() {
        std::array<char, 4096> bytes{};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(64 * sizeof(int))> control{};
        iovec part{bytes.data(), bytes.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
        if (got <= 0)
            throw std::runtime_error("the client closed its end");
        for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
             header = CMSG_NXTHDR(&message, header)) {
            const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            std::vector<int> numbers(count);
            std::memcpy(numbers.data(), CMSG_DATA(header), count * sizeof(int));
            for (const int number : numbers)
                received.emplace_back(number);
        }
        input_.append(bytes.data(), static_cast<std::size_t>(got));
    }

    UniqueFd socket_;
    std::string input_;
};

// Runs `script` against the other end of client_end(). What the script throws comes out of join().
class Scripted {
public:
    explicit Scripted(std::function<void(ScriptedServer&)> script) {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
            throw std::runtime_error("socketpair");
        client_end_ = UniqueFd(ends[0]);
        thread_ = std::jthread([this, script = std::move(script), fd = ends[1]] {
            ScriptedServer server{UniqueFd(fd)};
            try {
                script(server);
            } catch (const std::exception& fault) {
                fault_ = fault.what();
            }
        });
    }
    UniqueFd client_end() { return std::move(client_end_); }
    // The fault of the script, empty if it ran to its end. The client must be gone, or the script
    // must end by itself.
    std::string join() {
        thread_.join();
        return fault_;
    }

private:
    UniqueFd client_end_;
    std::string fault_;
    std::jthread thread_; // last, so that it ends before what it writes to
};

} // namespace mfd::test
