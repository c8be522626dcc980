#include "daemon/service/notifier.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace mfd {

namespace {

using boost::system::error_code;

// Chosen: the percentage of a running job is for eyes, not for programs.
constexpr std::chrono::seconds kLookEvery{1};
// Chosen: three missed extensions in a row, and the manager takes the process for hung.
constexpr std::chrono::seconds kExtendEvery{5};
constexpr std::chrono::seconds kExtendBy{15};

} // namespace

Notifier::Notifier(boost::asio::io_context& control, const ServiceManager& manager,
                   std::function<Status()> look)
    : control_(control), manager_(manager), look_(std::move(look)), watchdog_(control),
      next_(control) {}

void Notifier::ready() {
    if (phase_ != Phase::Starting)
        return; // something at the start has already led to the end
    phase_ = Phase::Ready;
    Status status = look_();
    manager_.ready(status.line);
    sent_ = std::move(status.line);
    if (status.changes_by_itself)
        look_later();
    if (manager_.watchdog_limit())
        feed_watchdog();
}

void Notifier::changed() {
    if (phase_ != Phase::Ready || std::exchange(look_pending_, true))
        return;
    boost::asio::post(control_, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired())
            return;
        look_pending_ = false;
        look_and_send();
    });
}

void Notifier::look_and_send() {
    if (phase_ != Phase::Ready)
        return;
    Status status = look_();
    if (status.line != sent_) {
        manager_.status(status.line);
        sent_ = std::move(status.line);
    }
    if (status.changes_by_itself)
        look_later();
    else
        next_.cancel();
}

void Notifier::look_later() {
    next_.expires_after(kLookEvery);
    next_.async_wait([this](const error_code& error) {
        if (!error)
            look_and_send();
    });
}

void Notifier::reload(const std::function<void()>& work) {
    if (phase_ != Phase::Ready)
        return;
    manager_.reloading();
    work();
    sent_ = look_().line;
    manager_.ready(sent_);
}

void Notifier::stopping(const std::string& status, bool waits_for_job) {
    if (std::exchange(phase_, Phase::Stopping) == Phase::Stopping)
        return;
    next_.cancel();
    manager_.stopping(status);
    if (waits_for_job)
        extend_timeout();
}

// Twice in the time that the manager waits.
void Notifier::feed_watchdog() {
    manager_.feed_watchdog();
    watchdog_.expires_after(*manager_.watchdog_limit() / 2);
    watchdog_.async_wait([this](const error_code& error) {
        if (!error)
            feed_watchdog();
    });
}

void Notifier::extend_timeout() {
    manager_.extend_timeout(kExtendBy);
    next_.expires_after(kExtendEvery);
    next_.async_wait([this](const error_code& error) {
        if (!error)
            extend_timeout();
    });
}

} // namespace mfd
