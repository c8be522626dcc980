#include "daemon/metrics/metrics_server.hpp"

#include "daemon/metrics/http_request.hpp"
#include "daemon/metrics/metrics_endpoint.hpp"
#include "qmp/limits.hpp"
#include "qmp/peer_access.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <spdlog/spdlog.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace mfd {

namespace {

// Chosen: a few collectors, and somebody who looks.
constexpr std::size_t kMaxClients = 16;
// Chosen: Prometheus itself gives up after ten seconds; it keeps connections open for five minutes
// between scrapes, and opens another if one is gone.
constexpr std::chrono::seconds kClientTimeout{30};

using Descriptor = boost::asio::posix::stream_descriptor;
using SystemError = boost::system::error_code;

HttpResponse answer_to(const HttpRequest& request, const MetricsServer::Render& render) {
    if (request.path != "/metrics")
        return {.status = 404, .body = "metrics are at /metrics\n"};
    if (request.method != "GET" && request.method != "HEAD")
        return {
            .status = 405, .body = "GET and HEAD only\n", .extra_fields = "Allow: GET, HEAD\r\n"};
    const auto format = negotiate_format(request.accept);
    return {.content_type = format == MetricFormat::OpenMetrics
                                ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                : "text/plain; version=0.0.4; charset=utf-8",
            .body = render(format),
            .extra_fields = "Vary: Accept\r\n"};
}

} // namespace

// One connection, alive as long as an operation on it is.
class MetricsClient : public std::enable_shared_from_this<MetricsClient> {
public:
    using Gone = std::function<void(MetricsClient*)>;

    MetricsClient(boost::asio::io_context& io, UniqueFd socket, MetricsServer::Render render,
                  Gone gone)
        : socket_(io, socket.release()), deadline_(io), render_(std::move(render)),
          gone_(std::move(gone)) {}

    void start() {
        expect_end_in_time();
        read();
    }
    void close() {
        SystemError ignored;
        socket_.close(ignored); // NOLINT(bugprone-unused-return-value)
        deadline_.cancel();
        if (gone_)
            std::exchange(gone_, nullptr)(this);
    }

private:
    void read() {
        if (const auto parsed = parse_http_request(input_);
            parsed.outcome != HttpParse::Outcome::NeedsMore)
            return answer(parsed);
        socket_.async_read_some(
            boost::asio::buffer(buffer_),
            [self = shared_from_this()](const SystemError& error, std::size_t bytes) {
                if (error)
                    return self->close();
                self->input_.append(self->buffer_.data(), bytes);
                self->read();
            });
    }

    void answer(const HttpParse& parsed) {
        const bool understood = parsed.outcome == HttpParse::Outcome::Request;
        const bool keep = understood && parsed.request.keep_alive;
        output_ = understood
                      ? encode_http_response(answer_to(parsed.request, render_), keep,
                                             parsed.request.method == "HEAD")
                      : encode_http_response(
                            {.status = parsed.status, .body = parsed.reason + "\n"}, false, false);
        input_.erase(0, parsed.consumed);
        expect_end_in_time();
        boost::asio::async_write(
            socket_, boost::asio::buffer(output_),
            [self = shared_from_this(), keep](const SystemError& error, std::size_t) {
                if (error || !keep)
                    return self->finish();
                self->start();
            });
    }

    // What the client still sends is not read: without a word that it is over, the kernel would
    // answer that with a reset, which takes the answer away from the client.
    void finish() {
        ::shutdown(socket_.native_handle(), SHUT_WR);
        drain();
    }
    void drain() {
        socket_.async_read_some(boost::asio::buffer(buffer_),
                                [self = shared_from_this()](const SystemError& error, std::size_t) {
                                    if (error)
                                        return self->close();
                                    self->drain(); // until the deadline of the answer
                                });
    }

    void expect_end_in_time() {
        deadline_.expires_after(kClientTimeout);
        deadline_.async_wait([weak = weak_from_this()](const SystemError& error) {
            const auto self = weak.lock();
            if (!error && self)
                self->close();
        });
    }

    Descriptor socket_;
    boost::asio::steady_timer deadline_;
    MetricsServer::Render render_;
    Gone gone_;
    std::array<char, 2048> buffer_{};
    std::string input_;
    std::string output_;
};

class MetricsServer::Impl : public std::enable_shared_from_this<Impl> {
public:
    Impl(boost::asio::io_context& io, Render render)
        : io_(io), render_(std::move(render)), retry_(io) {}

    Result<void> listen(UniqueFd socket, const std::string& path) {
        if (is_unix_socket(socket.ref()))
            peers_.emplace_back(qmp::default_peers(socket.ref()));
        else
            peers_.emplace_back();
        spdlog::info("metrics are served on {}", describe_socket(socket.ref()));
        SystemError error;
        Descriptor listener(io_);
        listener.assign(socket.get(), error);
        if (error)
            return make_sys_error("watch the socket for metrics", error.value());
        (void)socket.release();
        listeners_.push_back(std::move(listener));
        if (!path.empty()) {
            std::error_code failed;
            const auto absolute = std::filesystem::absolute(path, failed);
            paths_.push_back(failed ? path : absolute.string());
        }
        wait(listeners_.size() - 1);
        return {};
    }

    void close() {
        for (const std::string& path : std::exchange(paths_, {}))
            ::unlink(path.c_str());
        retry_.cancel();
        for (Descriptor& listener : listeners_) {
            SystemError ignored;
            listener.close(ignored); // NOLINT(bugprone-unused-return-value)
        }
        for (const auto& client : std::exchange(clients_, {}))
            client->close();
    }

private:
    void wait(std::size_t index) {
        if (!listeners_[index].is_open())
            return;
        if (clients_.size() >= kMaxClients) {
            waiting_.push_back(index);
            return;
        }
        listeners_[index].async_wait(Descriptor::wait_read,
                                     [self = shared_from_this(), index](const SystemError& error) {
                                         if (!error)
                                             self->accept(index);
                                     });
    }

    void accept(std::size_t index) {
        UniqueFd client(::accept4(listeners_[index].native_handle(), nullptr, nullptr,
                                  SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!client.valid()) {
            if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
                return wait(index);
            spdlog::warn("accept a client for metrics: {}", errno_text(errno));
            waiting_.push_back(index);
            retry_.expires_after(qmp::limits::kAcceptRetry);
            retry_.async_wait([self = shared_from_this()](const SystemError& error) {
                if (!error)
                    self->go_on();
            });
            return;
        }
        if (!peers_[index] || qmp::may_connect(*peers_[index], client.ref()))
            serve(std::move(client));
        wait(index);
    }

    void serve(UniqueFd socket) {
        auto client = std::make_shared<MetricsClient>(
            io_, std::move(socket), render_, [weak = weak_from_this()](MetricsClient* gone) {
                if (const auto self = weak.lock())
                    self->forget(gone);
            });
        clients_.insert(client);
        client->start();
    }

    void forget(MetricsClient* gone) {
        std::erase_if(clients_, [gone](const auto& client) { return client.get() == gone; });
        go_on();
    }

    void go_on() {
        for (const std::size_t index : std::exchange(waiting_, {}))
            wait(index);
    }

    boost::asio::io_context& io_;
    Render render_;
    boost::asio::steady_timer retry_;
    std::vector<Descriptor> listeners_;
    std::vector<std::optional<qmp::AllowedPeers>> peers_; // of each listener; nothing: anybody
    std::vector<std::string> paths_;
    std::vector<std::size_t> waiting_; // listeners, until a client goes, or after an error
    std::set<std::shared_ptr<MetricsClient>> clients_;
};

MetricsServer::MetricsServer(boost::asio::io_context& control, Render render)
    : impl_(std::make_shared<Impl>(control, std::move(render))) {}

MetricsServer::~MetricsServer() {
    close();
}

Result<void> MetricsServer::listen(UniqueFd socket, const std::string& path) {
    return impl_->listen(std::move(socket), path);
}

void MetricsServer::close() {
    impl_->close();
}

} // namespace mfd
