// Keeps the service manager informed while the daemon serves: state, status line, watchdog. It
// works by timers of the control thread's event loop, so a control thread that hangs falls silent,
// and the manager's watchdog acts. Control thread only.
#pragma once

#include "daemon/service/service_manager.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace mfd {

class Notifier {
public:
    struct Status {
        std::string line;               // for a person
        bool changes_by_itself = false; // a job runs: worth another look in a second
    };

    // `look` is asked for the status whenever it may have changed. All outlive the notifier.
    Notifier(boost::asio::io_context& control, const ServiceManager& manager,
             std::function<Status()> look);

    // Clients can connect. From here on the watchdog is fed.
    void ready();
    // The status may have changed: sent from the event loop, once for all changes of one turn.
    void changed();
    // Around what `work` loads anew.
    void reload(const std::function<void()>& work);
    // The last word. While `waits_for_job`, the manager is asked for more time again and again,
    // until the event loop ends.
    void stopping(const std::string& status, bool waits_for_job);

private:
    enum class Phase : std::uint8_t { Starting, Ready, Stopping };

    void look_and_send();
    void look_later();
    void feed_watchdog();
    void extend_timeout();

    boost::asio::io_context& control_;
    const ServiceManager& manager_;
    std::function<Status()> look_;
    boost::asio::steady_timer watchdog_;
    boost::asio::steady_timer next_;
    Phase phase_ = Phase::Starting;
    bool look_pending_ = false;
    std::string sent_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace mfd
