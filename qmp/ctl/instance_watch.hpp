// Keeps looking at all instances of a folder, each on a thread of its own: one that hangs keeps no
// other waiting. Thread-safe.
#pragma once

#include "channels/mutex.hpp"
#include "channels/unique_fd.hpp"
#include "qmp/ctl/instance.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace mfd::ctl {

class InstanceWatch {
public:
    static Result<std::unique_ptr<InstanceWatch>> make(std::chrono::milliseconds timeout);
    // Gives up what is being asked.
    ~InstanceWatch();
    InstanceWatch(const InstanceWatch&) = delete;
    InstanceWatch& operator=(const InstanceWatch&) = delete;

    // Asks these, if they are not being asked; forgets all others.
    void look_at(const std::vector<InstanceSocket>& sockets) MFD_EXCLUDES(mu_);
    // What they said last, by name; those that have not answered yet say so.
    [[nodiscard]] std::vector<InstanceState> states() const MFD_EXCLUDES(mu_);
    // Until all that were asked have answered.
    void wait() MFD_EXCLUDES(mu_);

private:
    struct Entry {
        InstanceState state;
        std::chrono::steady_clock::time_point taken; // of the state
        bool known = false;
        bool being_asked = false;
    };
    InstanceWatch(std::chrono::milliseconds timeout, UniqueFd end)
        : timeout_(timeout), end_(std::move(end)) {}
    void ask(const InstanceSocket& socket) MFD_EXCLUDES(mu_);

    const std::chrono::milliseconds timeout_;
    UniqueFd end_; // an eventfd, readable once nobody wants to know any more
    mutable Mutex mu_;
    CondVar answered_;
    std::map<std::string, Entry> entries_ MFD_GUARDED_BY(mu_); // by path
    std::map<std::string, std::jthread> threads_; // by path; the caller's; last: joined first
};

} // namespace mfd::ctl
