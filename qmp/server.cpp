#include "qmp/server.hpp"

#include "qmp/connection.hpp"
#include "qmp/limits.hpp"
#include "qmp/listener.hpp"
#include "qmp/schema_check.hpp"
#include "qmp/socket_io.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <spdlog/spdlog.h>

#include <chrono>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

namespace mfd::qmp {

using boost::asio::local::stream_protocol;
using boost::system::error_code;

// Shared with the callbacks of listeners, connections and the timer, which may come after the
// Server.
class Server::Impl : public std::enable_shared_from_this<Impl> {
public:
    Impl(boost::asio::io_context& io, const Dispatcher& dispatcher)
        : io_(io), dispatcher_(dispatcher), deadline_(io) {}

    Result<void> listen(UniqueFd socket, const std::string& path, ListenOptions options) {
        auto accepted = [weak = weak_from_this()](Listener& listener, UniqueFd client) {
            if (const auto self = weak.lock())
                self->accept(listener, std::move(client));
        };
        MFD_TRY(auto listener, Listener::make(io_, std::move(socket), path, std::move(options),
                                              std::move(accepted)));
        listeners_.push_back(std::move(listener));
        return {};
    }

    Result<void> serve(UniqueFd socket, ListenOptions options, std::function<void()> gone) {
        stream_protocol::socket stream(io_);
        error_code error;
        stream.assign(stream_protocol(), socket.get(), error);
        if (error)
            return make_sys_error("watch a client's socket", error.value());
        (void)socket.release();
        const auto connection = std::make_shared<Connection>(
            std::move(stream), dispatcher_, std::move(options),
            [weak = weak_from_this(), gone = std::move(gone)](const auto& closed) {
                if (const auto self = weak.lock())
                    self->forget(closed);
                gone();
            });
        connections_.insert(connection);
        connection->start();
        return {};
    }

    void emit(std::string_view name, const std::optional<Json>& data) {
        const EventType* event = dispatcher_.find_event(name);
        if (event == nullptr)
            throw std::logic_error("the event " + std::string(name) + " is not declared");
        if ((event->data != nullptr) != data.has_value())
            spdlog::error("The data of the event {} is not as declared", name);
        else if (data)
            if (const auto mismatch = schema::find_mismatch(*event->data, *data))
                spdlog::error("The data of the event {} is not as declared: {}", name, *mismatch);
        const std::string line = encode_event(name, data, std::chrono::system_clock::now());
        for (const auto& connection : snapshot())
            connection->send_event(line);
    }

    void shutdown(std::function<void()> then) {
        then_ = std::move(then);
        for (const auto& listener : listeners_)
            listener->close();
        deadline_.expires_after(limits::kFlushTimeout);
        deadline_.async_wait([weak = weak_from_this()](const error_code& error) {
            const auto self = weak.lock();
            if (error || !self)
                return;
            spdlog::warn("{} clients did not read their last replies in time",
                         self->connections_.size());
            self->close_connections();
        });
        for (const auto& connection : snapshot())
            connection->finish();
        finish_if_empty();
    }

    // At destruction, when nobody is to be told any more.
    void abandon() {
        then_ = nullptr;
        deadline_.cancel();
        for (const auto& listener : listeners_)
            listener->close();
        close_connections();
    }

    [[nodiscard]] std::size_t connection_count() const { return connections_.size(); }

private:
    void accept(Listener& listener, UniqueFd client) {
        auto gone = [weak = listener.weak_from_this()] {
            if (const auto self = weak.lock())
                self->client_gone();
        };
        const auto served = serve(std::move(client), listener.options(), std::move(gone));
        if (!served.has_value()) {
            spdlog::warn("{}", served.error().what);
            listener.client_gone();
        }
    }

    // Sending may close a connection, and closing takes it out of the set.
    [[nodiscard]] std::vector<std::shared_ptr<Connection>> snapshot() const {
        return {connections_.begin(), connections_.end()};
    }

    void close_connections() {
        for (const auto& connection : snapshot())
            connection->close();
    }

    void forget(const std::shared_ptr<Connection>& connection) {
        connections_.erase(connection);
        finish_if_empty();
    }

    void finish_if_empty() {
        if (!then_ || !connections_.empty())
            return;
        deadline_.cancel();
        boost::asio::post(io_, std::exchange(then_, nullptr));
    }

    boost::asio::io_context& io_;
    const Dispatcher& dispatcher_;
    boost::asio::steady_timer deadline_;
    std::vector<std::shared_ptr<Listener>> listeners_;
    std::set<std::shared_ptr<Connection>> connections_;
    std::function<void()> then_;
};

Server::Server(boost::asio::io_context& io, const Dispatcher& dispatcher)
    : impl_(std::make_shared<Impl>(io, dispatcher)) {}

Server::~Server() {
    impl_->abandon();
}

Result<void> Server::listen(const std::string& path, ListenOptions options) {
    MFD_TRY(UniqueFd socket, make_listening_socket(path, options.mode, options.group));
    return impl_->listen(std::move(socket), path, std::move(options));
}

Result<void> Server::adopt_listener(UniqueFd socket, ListenOptions options) {
    MFD_CHECK(check_listening_socket(socket.ref()));
    return impl_->listen(std::move(socket), {}, std::move(options));
}

Result<void> Server::adopt_connection(UniqueFd socket, ListenOptions options) {
    MFD_CHECK(check_connected_socket(socket.ref()));
    return impl_->serve(std::move(socket), std::move(options), [] {});
}

void Server::emit(std::string_view event, const std::optional<Json>& data) {
    impl_->emit(event, data);
}

void Server::shutdown(std::function<void()> then) {
    impl_->shutdown(std::move(then));
}

std::size_t Server::connection_count() const {
    return impl_->connection_count();
}

} // namespace mfd::qmp
