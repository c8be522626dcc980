#include "scripted_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/stat.h>

using namespace mfd;
using namespace mfd::qmp;
using mfd::test::Scripted;
using mfd::test::ScriptedServer;

namespace {

constexpr Millis kLong{30'000}; // never reached: every script answers

} // namespace

TEST_CASE("connecting reads the greeting and negotiates without oob", "[qmp_client]") {
    Json seen;
    Scripted server([&](ScriptedServer& s) {
        s.line(std::string(test::kGreeting));
        seen = s.request();
        s.reply(seen, Json::object());
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    CHECK(client->greeting()["version"]["qemu"]["major"] == 10);
    REQUIRE(server.join().empty());
    CHECK(seen["execute"] == "qmp_capabilities");
    CHECK_FALSE(seen.contains("arguments"));
}

TEST_CASE("connecting with oob enables it", "[qmp_client]") {
    Json seen;
    Scripted server([&](ScriptedServer& s) {
        s.line(std::string(test::kGreeting));
        seen = s.request();
        s.reply(seen, Json::object());
    });
    REQUIRE(Client::adopt(server.client_end(), {.timeout = kLong, .enable_oob = true}).has_value());
    REQUIRE(server.join().empty());
    CHECK(seen["arguments"] == Json{{"enable", {"oob"}}});
}

TEST_CASE("a call sends name and arguments and returns the value", "[qmp_client]") {
    Json seen;
    Scripted server([&](ScriptedServer& s) {
        s.greet();
        seen = s.request();
        s.reply(seen, Json{{"fdset-id", 3}});
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto value = client->call("add-fd", Json{{"opaque", "x"}});
    REQUIRE(value.has_value());
    CHECK(*value == Json{{"fdset-id", 3}});
    REQUIRE(server.join().empty());
    CHECK(seen["execute"] == "add-fd");
    CHECK(seen["arguments"] == Json{{"opaque", "x"}});
}

TEST_CASE("a refusal keeps class and text, and the client goes on", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        for (const std::string error_class : {"CommandNotFound", "GenericError"}) {
            const auto request = s.request();
            s.line(
                Json{{"error", {{"class", error_class}, {"desc", "words"}}}, {"id", request["id"]}}
                    .dump());
        }
        s.reply(s.request(), 7);
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto reply = client->execute("nonsense");
    REQUIRE(reply.has_value());
    REQUIRE(reply->error.has_value());
    CHECK(reply->error->error_class == "CommandNotFound");
    CHECK(reply->error->desc == "words");

    const auto failed = client->call("migrate");
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == Errc::BadArgument);
    CHECK(failed.error().what == "migrate: words");

    const auto value = client->call("last");
    REQUIRE(value.has_value());
    CHECK(*value == 7);
}

TEST_CASE("replies to other ids are passed over", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        const auto request = s.request();
        s.line(R"({"return": "stale", "id": "mfd-0"})");
        s.line(R"({"return": "foreign", "id": 12})");
        s.reply(request, "mine");
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto value = client->call("query-name");
    REQUIRE(value.has_value());
    CHECK(*value == "mine");
}

TEST_CASE("an exchange gives the whole reply with the caller's id", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        s.reply(s.request(), 1);
        s.reply(s.request(), 2);
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto with_id = client->exchange(Json{{"execute", "a"}, {"id", {{"n", 5}}}});
    REQUIRE(with_id.has_value());
    CHECK(*with_id == Json{{"return", 1}, {"id", {{"n", 5}}}});
    const auto without = client->exchange(Json{{"execute", "a"}});
    REQUIRE(without.has_value());
    CHECK(*without == Json{{"return", 2}});
}

TEST_CASE("messages may arrive one byte at a time or many at once", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        const auto request = s.request();
        const std::string text =
            R"({"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}})"
            "\r\n\r\n" +
            Json{{"return", "a\nb"}, {"id", request["id"]}}.dump() + "\r\n";
        for (const char byte : text)
            s.send(std::string_view(&byte, 1));
        const auto second = s.request();
        s.send("{\"event\": \"RESUME\"}\n" + Json{{"return", 2}, {"id", second["id"]}}.dump() +
               "\n{\"event\": \"STOP\"}\n{\"event\": \"LAST\", \"data\": {\"x\": 1}}\n");
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto first = client->call("one");
    REQUIRE(first.has_value());
    CHECK(*first == "a\nb");
    const auto second = client->call("two");
    REQUIRE(second.has_value());
    CHECK(*second == 2);
    const auto last = client->wait_event("LAST", kLong);
    REQUIRE(last.has_value());
    REQUIRE(last->has_value());
    CHECK((*last)->data == Json{{"x", 1}});
    CHECK(client->take_event()->raw["timestamp"]["microseconds"] == 2);
    CHECK(client->take_event()->name == "RESUME");
    CHECK(client->take_event()->name == "STOP");
    CHECK_FALSE(client->take_event().has_value());
}

TEST_CASE("descriptors arrive with the first byte of their command", "[qmp_client]") {
    std::vector<struct stat> seen(2);
    Scripted server([&](ScriptedServer& s) {
        s.greet();
        const auto request = s.request();
        if (s.received.size() != 2)
            throw std::runtime_error("expected two descriptors");
        ::fstat(s.received[0].get(), &seen[0]);
        ::fstat(s.received[1].get(), &seen[1]);
        s.reply(request, 0);
        const auto plain = s.request();
        s.reply(plain, s.received.size());
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const UniqueFd null_device(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const UniqueFd zero_device(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    const std::array<FdRef, 2> fds{null_device.ref(), zero_device.ref()};
    REQUIRE(client->call("add-fd", Json{{"opaque", std::string(100'000, 'x')}}, {.fds = fds})
                .has_value());
    const auto count = client->call("query-name");
    REQUIRE(count.has_value());
    CHECK(*count == 2);
    REQUIRE(server.join().empty());
    struct stat expected {};
    REQUIRE(::fstat(null_device.get(), &expected) == 0);
    CHECK(seen[0].st_rdev == expected.st_rdev);
    REQUIRE(::fstat(zero_device.get(), &expected) == 0);
    CHECK(seen[1].st_rdev == expected.st_rdev);
}

TEST_CASE("waiting for an event leaves the others queued in order", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        for (const std::string status : {"setup", "active", "completed"})
            s.line(Json{{"event", "MIGRATION"}, {"data", {{"status", status}}}}.dump());
        s.wait_for_close();
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto done = client->wait_event(
        [](const Event& event) { return event.data["status"] == "completed"; }, kLong);
    REQUIRE(done.has_value());
    REQUIRE(done->has_value());
    CHECK(client->take_event()->data["status"] == "setup");
    CHECK(client->take_event()->data["status"] == "active");
    const auto none = client->wait_event("MIGRATION", Millis(0));
    REQUIRE(none.has_value());
    CHECK_FALSE(none->has_value());
}

TEST_CASE("a callback sees each event, and may keep it from the queue", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        const auto request = s.request();
        s.line(R"({"event": "STOP"})");
        s.line(R"({"event": "RESUME"})");
        s.reply(request, 0);
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    std::vector<std::string> seen;
    client->on_event([&](const Event& event) {
        seen.push_back(event.name);
        return event.name != "STOP";
    });
    REQUIRE(client->call("query-name").has_value());
    CHECK(seen == std::vector<std::string>{"STOP", "RESUME"});
    CHECK(client->take_event()->name == "RESUME");
    CHECK_FALSE(client->take_event().has_value());
}

TEST_CASE("the event queue is bounded and drops the oldest", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        for (std::size_t i = 0; i < Client::kMaxQueuedEvents + 2; ++i)
            s.line(Json{{"event", "E"}, {"data", {{"n", i}}}}.dump());
        s.reply(s.request(), 0);
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    REQUIRE(client->call("query-name").has_value());
    CHECK(client->dropped_events() == 2);
    CHECK(client->take_event()->data["n"] == 2);
}
