// What a service manager (systemd) is told of this process, in the words of sd_notify(3). Nothing
// is sent where no manager listens. Any thread may call it, one at a time.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace mfd {

class ServiceManager {
public:
    // Sends the lines of one message.
    using Send = std::function<void(const std::string& lines)>;

    // The manager that NOTIFY_SOCKET names, and the limit of WATCHDOG_USEC if WATCHDOG_PID is this
    // process. Call it before a fork: what it finds goes with the child.
    [[nodiscard]] static ServiceManager from_environment();
    ServiceManager(Send send, std::optional<std::chrono::microseconds> watchdog_limit);

    // Longer than this without feed_watchdog(), and the manager ends the process; nothing: it does
    // not watch.
    [[nodiscard]] std::optional<std::chrono::microseconds> watchdog_limit() const {
        return watchdog_limit_;
    }

    // Names the main process as well if a fork came since from_environment().
    void ready(std::string_view status) const;
    // ready() follows.
    void reloading() const;
    void status(std::string_view text) const;
    void stopping(std::string_view status) const;
    // The end may take so long from now on, if that is longer than the unit allows.
    void extend_timeout(std::chrono::microseconds by) const;
    void feed_watchdog() const;

private:
    Send send_;
    std::optional<std::chrono::microseconds> watchdog_limit_;
    pid_t main_pid_; // as the manager knows it
};

} // namespace mfd
