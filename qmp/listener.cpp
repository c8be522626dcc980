#include "qmp/listener.hpp"

#include "qmp/limits.hpp"
#include "qmp/socket_io.hpp"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mfd::qmp {

namespace {

using boost::asio::local::stream_protocol;
using boost::system::error_code;

// The process may change its directory before the socket is removed.
std::string absolute_path(const std::string& path) {
    std::error_code failed;
    const auto absolute = std::filesystem::absolute(path, failed);
    return path.empty() || failed ? path : absolute.string();
}

ino_t inode_of(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

} // namespace

Result<std::shared_ptr<Listener>> Listener::make(boost::asio::io_context& io, UniqueFd socket,
                                                 const std::string& path, ListenOptions options,
                                                 Accepted accepted) {
    auto listener = std::make_shared<Listener>(io, path, std::move(options), std::move(accepted));
    error_code error;
    listener->acceptor_.assign(stream_protocol(), socket.get(), error);
    if (error)
        return make_sys_error("watch a listening socket", error.value());
    (void)socket.release();
    const FdRef listening(listener->acceptor_.native_handle());
    const auto& peers = listener->options_.peers;
    listener->allowed_ = peers ? *peers : default_peers(listening);
    listener->accept();
    return listener;
}

Listener::Listener(boost::asio::io_context& io, const std::string& path, ListenOptions options,
                   Accepted accepted)
    : acceptor_(io), retry_(io), path_(absolute_path(path)),
      inode_(path_.empty() ? 0 : inode_of(path_)), options_(std::move(options)),
      accepted_(std::move(accepted)) {}

Listener::~Listener() {
    close();
}

void Listener::close() {
    if (!acceptor_.is_open())
        return;
    // Another daemon may have taken the path over in the meantime; its socket stays.
    if (!path_.empty() && inode_ != 0 && inode_of(path_) == inode_)
        (void)::unlink(path_.c_str());
    error_code ignored;
    acceptor_.close(ignored); // NOLINT(bugprone-unused-return-value)
    retry_.cancel();
}

void Listener::client_gone() {
    accept();
}

void Listener::accept() {
    if (!acceptor_.is_open())
        return;
    acceptor_.async_wait(stream_protocol::acceptor::wait_read,
                         [self = shared_from_this()](const error_code& error) {
                             if (!error && self->acceptor_.is_open())
                                 self->on_connect();
                         });
}

// Not Asio's accept, which would leave the socket open in programs started later.
void Listener::on_connect() {
    UniqueFd client(
        ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (client.valid() && !may_connect(allowed_, client.ref())) {
        refusals_.refused(peer_of(client.ref()), RefusalLog::Clock::now());
        client.reset();
        accept();
        return;
    }
    if (client.valid()) {
        accepted_(*this, std::move(client));
        return;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) {
        accept();
        return;
    }
    spdlog::warn("Accept a client: {}", errno_text(errno));
    accept_later();
}

void Listener::accept_later() {
    retry_.expires_after(limits::kAcceptRetry);
    retry_.async_wait([self = shared_from_this()](const error_code& error) {
        if (!error)
            self->accept();
    });
}

} // namespace mfd::qmp
