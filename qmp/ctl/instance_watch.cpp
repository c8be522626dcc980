#include "qmp/ctl/instance_watch.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/eventfd.h>

namespace mfd::ctl {

namespace {
using Clock = std::chrono::steady_clock;
} // namespace
using std::chrono::milliseconds;

Result<std::unique_ptr<InstanceWatch>> InstanceWatch::make(milliseconds timeout) {
    UniqueFd end(::eventfd(0, EFD_CLOEXEC));
    if (!end.valid())
        return make_sys_error("eventfd", errno);
    return std::unique_ptr<InstanceWatch>(new InstanceWatch(timeout, std::move(end)));
}

InstanceWatch::~InstanceWatch() {
    static_cast<void>(::eventfd_write(end_.get(), 1)); // it never blocks: nobody else writes
}

void InstanceWatch::look_at(const std::vector<InstanceSocket>& sockets) {
    std::vector<InstanceSocket> due;
    {
        const MutexLock lock(mu_);
        std::erase_if(entries_, [&](const auto& entry) {
            return !entry.second.being_asked &&
                   std::none_of(sockets.begin(), sockets.end(),
                                [&](const auto& socket) { return socket.path == entry.first; });
        });
        for (const InstanceSocket& socket : sockets) {
            Entry& entry = entries_[socket.path];
            if (entry.being_asked)
                continue;
            entry.being_asked = true;
            if (!entry.known) {
                entry.state.name = socket.name;
                entry.state.path = socket.path;
                entry.state.problem = "no answer yet";
            }
            due.push_back(socket);
        }
    }
    // Those that have ended are joined here.
    for (const InstanceSocket& socket : due)
        threads_[socket.path] = std::jthread([this, socket] { ask(socket); });
}

void InstanceWatch::ask(const InstanceSocket& socket) {
    InstanceState state = ask_instance(socket, timeout_, end_.ref());
    const auto now = Clock::now();
    const MutexLock lock(mu_);
    Entry& entry = entries_[socket.path];
    if (entry.known)
        update_rate(state, entry.state,
                    std::chrono::duration_cast<milliseconds>(now - entry.taken));
    entry = {std::move(state), now, true, false};
    answered_.notify_all();
}

std::vector<InstanceState> InstanceWatch::states() const {
    std::vector<InstanceState> states;
    {
        const MutexLock lock(mu_);
        for (const auto& [path, entry] : entries_)
            states.push_back(entry.state);
    }
    std::sort(states.begin(), states.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return states;
}

void InstanceWatch::wait() {
    const MutexLock lock(mu_);
    answered_.wait(mu_, [this]() MFD_REQUIRES(mu_) {
        return std::none_of(entries_.begin(), entries_.end(),
                            [](const auto& entry) { return entry.second.being_asked; });
    });
}

} // namespace mfd::ctl
