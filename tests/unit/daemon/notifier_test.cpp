#include "daemon/service/notifier.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using mfd::Notifier;
using mfd::ServiceManager;
using namespace std::chrono_literals;

namespace {

using Messages = std::vector<std::string>;

// A notifier whose messages are kept, and a status to change.
struct Service {
    explicit Service(std::optional<std::chrono::microseconds> watchdog = std::nullopt)
        : manager([this](const std::string& lines) { sent.push_back(lines); }, watchdog) {}

    // What the event loop has to do at once; timers are not waited for.
    void turn() {
        io.restart();
        io.poll();
    }
    Messages take() { return std::exchange(sent, {}); }

    Messages sent;
    ServiceManager manager;
    boost::asio::io_context io;
    Notifier::Status status{.line = "running"};
    Notifier notifier{io, manager, [this] { return status; }};
};

} // namespace

TEST_CASE("nothing is said before the service is ready", "[service]") {
    Service service;
    service.notifier.changed();
    service.turn();
    CHECK(service.sent.empty());
    service.notifier.ready();
    CHECK(service.take() == Messages{"READY=1\nSTATUS=running"});
}

TEST_CASE("the status is sent once for all changes of a turn, and only if it differs",
          "[service]") {
    Service service;
    service.notifier.ready();
    (void)service.take();
    service.notifier.changed();
    service.turn();
    CHECK(service.sent.empty());
    service.status.line = "saving 0 %";
    service.notifier.changed();
    service.status.line = "saving 1 %";
    service.notifier.changed();
    service.turn();
    CHECK(service.take() == Messages{"STATUS=saving 1 %"});
}

TEST_CASE("while a job runs the status is looked at again without being told", "[service]") {
    Service service;
    service.status = {.line = "saving 0 %", .changes_by_itself = true};
    service.notifier.ready();
    (void)service.take();
    service.status = {.line = "saved", .changes_by_itself = false};
    service.io.run(); // ends, since nothing is left to be looked at
    CHECK(service.take() == Messages{"STATUS=saved"});
}

TEST_CASE("a reload is framed, and its work happens between", "[service]") {
    Service service;
    service.notifier.ready();
    (void)service.take();
    service.notifier.reload([&] { service.sent.emplace_back("work"); });
    REQUIRE(service.sent.size() == 3);
    CHECK(service.sent[0].starts_with("RELOADING=1\nMONOTONIC_USEC="));
    CHECK(service.sent[1] == "work");
    CHECK(service.sent[2] == "READY=1\nSTATUS=running");
}

TEST_CASE("the watchdog is fed for as long as the event loop turns", "[service]") {
    Service service(2ms);
    service.notifier.ready();
    const auto fed = [&] {
        return std::count(service.sent.begin(), service.sent.end(), "WATCHDOG=1");
    };
    while (fed() < 3)
        service.io.run_one();
    CHECK(service.sent[0] == "READY=1\nSTATUS=running");
}

TEST_CASE("without a limit the watchdog is not fed", "[service]") {
    Service service;
    service.notifier.ready();
    service.io.run(); // returns: no timer waits
    CHECK(service.take() == Messages{"READY=1\nSTATUS=running"});
}

TEST_CASE("the end is announced once, and more time asked for only if a job is waited for",
          "[service]") {
    Service service;
    service.notifier.ready();
    (void)service.take();
    SECTION("no job") {
        service.notifier.stopping("stopping", false);
        service.notifier.stopping("again", true);
        service.status.line = "other";
        service.notifier.changed();
        service.notifier.reload([] { FAIL("no reload any more"); });
        service.turn();
        CHECK(service.take() == Messages{"STOPPING=1\nSTATUS=stopping"});
    }
    SECTION("a job") {
        service.notifier.stopping("stopping", true);
        CHECK(service.take() ==
              Messages{"STOPPING=1\nSTATUS=stopping", "EXTEND_TIMEOUT_USEC=15000000"});
    }
}

TEST_CASE("a status is one line of UTF-8, and not longer than a manager takes", "[service]") {
    Messages sent;
    const ServiceManager manager([&](const std::string& lines) { sent.push_back(lines); },
                                 std::nullopt);
    manager.status("save failed: a\nREADY=1 \xff \xc3\xa4");
    CHECK(sent.back() == "STATUS=save failed: a?READY=1 ? \xc3\xa4");
    manager.status(std::string(10000, 'x'));
    CHECK(sent.back().size() == 2048);
}
