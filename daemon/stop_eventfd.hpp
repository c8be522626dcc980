// An eventfd by which the owner of foreign memory says that it has stopped writing (parameter
// x-stop-eventfd): for owners that have no QMP connection at hand. Control thread.
#pragma once

#include "channels/fdset.hpp"
#include "proto/error.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <functional>
#include <memory>

namespace mfd {

class StopEventfd {
public:
    // Calls `on_stop` on the control thread whenever the eventfd's count is not 0, and takes the
    // count. Refuses a descriptor that cannot be waited for.
    static Result<std::unique_ptr<StopEventfd>>
    watch(boost::asio::io_context& control, SetDup eventfd, std::function<void()> on_stop);

private:
    StopEventfd(boost::asio::io_context& control, SetDup eventfd, UniqueFd epoll,
                std::function<void()> on_stop);
    void wait();
    void take();

    SetDup eventfd_;
    // asio makes what it waits for non-blocking, and the eventfd's flags are the client's, too. So
    // it waits for an epoll instance of our own that has the eventfd in it.
    boost::asio::posix::stream_descriptor epoll_;
    std::function<void()> on_stop_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace mfd
