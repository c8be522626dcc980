#include "daemon/stop_eventfd.hpp"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include <sys/epoll.h>
#include <sys/uio.h>

namespace mfd {

Result<std::unique_ptr<StopEventfd>> StopEventfd::watch(boost::asio::io_context& control,
                                                        SetDup eventfd,
                                                        std::function<void()> on_stop) {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.valid())
        return make_sys_error("wait for the descriptor of x-stop-eventfd", errno);
    epoll_event readable{};
    readable.events = EPOLLIN;
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, eventfd.ref().get(), &readable) != 0)
        return make_sys_error("wait for the descriptor of x-stop-eventfd, which should be an "
                              "eventfd",
                              errno);
    std::unique_ptr<StopEventfd> watched(
        new StopEventfd(control, std::move(eventfd), std::move(epoll), std::move(on_stop)));
    watched->wait();
    return watched;
}

StopEventfd::StopEventfd(boost::asio::io_context& control, SetDup eventfd, UniqueFd epoll,
                         std::function<void()> on_stop)
    : eventfd_(std::move(eventfd)), epoll_(control, epoll.release()), on_stop_(std::move(on_stop)) {
}

void StopEventfd::wait() {
    epoll_.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [this, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
            if (!error && !alive.expired())
                take();
        });
}

void StopEventfd::take() {
    std::uint64_t count = 0;
    const iovec part{&count, sizeof(count)};
    // Without waiting, in case somebody else has taken it meanwhile.
    if (::preadv2(eventfd_.ref().get(), &part, 1, -1, RWF_NOWAIT) == sizeof(count)) {
        wait();
        return on_stop_(); // which may end this object
    }
    if (errno == EAGAIN || errno == EINTR)
        return wait();
    spdlog::warn("read the descriptor of x-stop-eventfd: {}; only the command stop is heard now",
                 errno_text(errno));
}

} // namespace mfd
