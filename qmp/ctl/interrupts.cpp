#include "qmp/ctl/interrupts.hpp"

#include <cerrno>

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace mfd::ctl {

Result<Interrupts> Interrupts::make(std::initializer_list<int> more) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    for (const int signal : more)
        sigaddset(&set, signal);
    if (const int sys = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); sys != 0)
        return make_sys_error("block signals", sys);
    UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd.valid())
        return make_sys_error("signalfd", errno);
    return Interrupts(std::move(fd));
}

int Interrupts::take() {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info)))
        return 0;
    return static_cast<int>(info.ssi_signo);
}

} // namespace mfd::ctl
