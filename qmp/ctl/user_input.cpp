#include "qmp/ctl/user_input.hpp"

#include <array>
#include <cerrno>
#include <csignal>

#include <poll.h>
#include <sys/epoll.h>

namespace mfd::ctl {

namespace {

Result<void> add_to(FdRef epoll, FdRef fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0)
        return make_sys_error("wait for input", errno);
    return {};
}

bool is_terminal_gone() {
    std::array<pollfd, 1> fds{pollfd{Screen::keys().get(), POLLIN, 0}};
    return ::poll(fds.data(), fds.size(), 0) > 0 && (fds[0].revents & (POLLHUP | POLLERR)) != 0;
}

} // namespace

Result<UserInput> UserInput::make() {
    MFD_TRY(Interrupts signals, Interrupts::make({SIGWINCH}));
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.valid())
        return make_sys_error("wait for input", errno);
    MFD_CHECK(add_to(epoll.ref(), signals.fd()));
    return UserInput(std::move(signals), std::move(epoll));
}

Result<void> UserInput::watch_keys() {
    return add_to(epoll_.ref(), Screen::keys());
}

Wish UserInput::take(Screen* screen) {
    Wish wish = Wish::None;
    while (const int signal = signals_.take()) {
        if (signal != SIGWINCH)
            wish = Wish::Interrupt;
        else if (screen != nullptr)
            screen->follow_size();
    }
    if (screen == nullptr || wish != Wish::None)
        return wish;
    while (const int key = screen->take_key())
        if (key == 'q' || key == 'Q')
            wish = Wish::Leave;
    return is_terminal_gone() ? Wish::Leave : wish;
}

} // namespace mfd::ctl
