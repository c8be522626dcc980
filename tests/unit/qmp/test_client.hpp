// A client on a real socket and the event loop it talks to, in one thread: nothing waits,
// everything that can happen has happened when settle() returns.
#pragma once

#include "channels/unique_fd.hpp"
#include "qmp/json.hpp"
#include "tests/support/temp_folder.hpp"

#include <boost/asio/io_context.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace mfd::qmp {

inline void settle(boost::asio::io_context& io) {
    do
        io.restart();
    while (io.poll() > 0);
}

inline std::size_t open_descriptors() {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        count += entry.path().empty() ? 0 : 1;
    return count;
}

class TestClient {
public:
    explicit TestClient(const std::string& path)
        : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
            throw std::runtime_error("connect " + path);
    }
    explicit TestClient(UniqueFd connected) : fd_(std::move(connected)) {}

    // Bytes the socket took at once.
    std::size_t send(std::string_view text, const std::vector<int>& fds = {}) {
        constexpr std::size_t kMostFds = 253; // the kernel's limit for one message
        if (fds.size() > kMostFds)
            throw std::invalid_argument("too many descriptors for one message");
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostFds)> control{};
        iovec vector{const_cast<char*>(text.data()), text.size()};
        msghdr message{};
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        if (!fds.empty()) {
            message.msg_control = control.data();
            message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
            cmsghdr* header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
            std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
        }
        const ssize_t sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
        return sent < 0 ? 0 : static_cast<std::size_t>(sent);
    }

    // Reads what is there.
    void fetch() {
        std::array<char, 65536> buffer{};
        for (;;) {
            const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
            if (count < 0)
                return;
            if (count == 0) {
                ended_ = true;
                return;
            }
            received_.append(buffer.data(), static_cast<std::size_t>(count));
        }
    }

    // The complete lines read so far, as values.
    std::vector<Json> take() {
        fetch();
        std::vector<Json> out;
        std::size_t begin = 0;
        for (std::size_t end = received_.find("\r\n"); end != std::string::npos;
             end = received_.find("\r\n", begin)) {
            out.push_back(Json::parse(received_.substr(begin, end - begin)));
            begin = end + 2;
        }
        received_.erase(0, begin);
        return out;
    }

    // True once the server has closed the connection and everything before that was read.
    bool ended() {
        fetch();
        return ended_;
    }
    void half_close() { ::shutdown(fd_.get(), SHUT_WR); }
    void close() { fd_.reset(); }
    [[nodiscard]] std::size_t received_bytes() const { return received_.size(); }

private:
    UniqueFd fd_;
    std::string received_;
    bool ended_ = false;
};

} // namespace mfd::qmp
