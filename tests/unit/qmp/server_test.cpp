#include "server_fixture.hpp"

#include "qmp/limits.hpp"

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

using namespace mfd;
using namespace mfd::qmp;

namespace {

using Values = std::vector<Json>;

const Json kFine = {{"return", "fine"}};

} // namespace

TEST_CASE("a client is greeted, negotiates and is answered", "[server]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    TestClient client(fixture.path());
    fixture.run();
    const Values greeting = client.take();
    REQUIRE(greeting.size() == 1);
    CHECK(greeting[0]["QMP"]["capabilities"] == Json{"oob"});

    CHECK(fixture.ask(client, R"({"execute": "query-status"})")[0]["error"]["class"] ==
          "CommandNotFound");
    CHECK(fixture.ask(client, R"({"execute": "qmp_capabilities"})") ==
          Values{{{"return", Json::object()}}});
    CHECK(fixture.ask(client, R"({"execute": "query-status"})") == Values{kFine});
}

TEST_CASE("a second client waits until the first is gone", "[server]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    TestClient first = fixture.connect(fixture.path());
    TestClient second(fixture.path());
    second.send(R"({"execute": "qmp_capabilities"})");
    fixture.run();
    CHECK(second.take().empty());
    CHECK(fixture.ask(first, R"({"execute": "query-status"})") == Values{kFine});

    first.close();
    fixture.run();
    const Values lines = second.take();
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].contains("QMP"));
    CHECK(lines[1] == Json{{"return", Json::object()}});
    CHECK(fixture.server->connection_count() == 1);
}

TEST_CASE("each listener has its client, and each connection its own mode", "[server]") {
    ServerFixture fixture;
    const std::string other_path = fixture.directory.file("monitor.sock");
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    REQUIRE(fixture.server->listen(other_path, {.exposure = Exposure::QueriesOnly}).has_value());
    TestClient first = fixture.connect(fixture.path());
    TestClient other(other_path);
    fixture.run();
    (void)other.take();
    CHECK(fixture.ask(first, R"({"execute": "query-status"})") == Values{kFine});
    CHECK(fixture.ask(other, R"({"execute": "query-status"})")[0].contains("error"));
    CHECK(fixture.ask(other, R"({"execute": "qmp_capabilities"})")[0].contains("return"));
    CHECK(fixture.ask(other, R"({"execute": "query-status"})") == Values{kFine});
    CHECK(fixture.ask(other, R"({"execute": "huge"})")[0].contains("error"));
}

TEST_CASE("events go to every client in command mode, with a time stamp", "[server]") {
    ServerFixture fixture;
    const std::string other_path = fixture.directory.file("monitor.sock");
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    REQUIRE(fixture.server->listen(other_path, {.exposure = Exposure::QueriesOnly}).has_value());
    TestClient first = fixture.connect(fixture.path());
    TestClient other(other_path);
    fixture.run();
    (void)other.take();

    fixture.server->emit("MIGRATION", Json{{"status", "setup"}});
    fixture.run();
    const Values lines = first.take();
    REQUIRE(lines.size() == 1);
    CHECK(lines[0]["event"] == "MIGRATION");
    CHECK(lines[0]["data"] == Json{{"status", "setup"}});
    CHECK(lines[0]["timestamp"]["seconds"] > 1'600'000'000);
    CHECK(lines[0]["timestamp"]["microseconds"] < 1'000'000);
    CHECK(other.take().empty());

    (void)fixture.ask(other, R"({"execute": "qmp_capabilities"})");
    fixture.server->emit("STOP");
    fixture.run();
    CHECK(first.take().size() == 1);
    CHECK_FALSE(other.take().at(0).contains("data"));
}

TEST_CASE("after half a close the replies still come, then the end", "[server]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    TestClient client = fixture.connect(fixture.path());
    client.send(
        R"({"execute": "query-status"}{"execute": "slow"}{"execute": "query-status"}{"exe)");
    client.half_close();
    fixture.run();
    CHECK(client.take() == Values{kFine});
    CHECK_FALSE(client.ended());

    fixture.kept.front().reply();
    fixture.run();
    CHECK(client.take() == Values{{{"return", Json::object()}}, kFine});
    CHECK(client.ended());
    CHECK(fixture.server->connection_count() == 0);

    TestClient next = fixture.connect(fixture.path());
    CHECK(fixture.ask(next, R"({"execute": "query-status"})") == Values{kFine});
}

TEST_CASE("what a client sent before it went is carried out", "[server]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    TestClient client = fixture.connect(fixture.path());
    client.send(R"({"execute": "slow"}{"execute": "slow"})");
    client.close();
    fixture.run();
    CHECK(fixture.kept.size() == 1);
    fixture.kept.front().reply();
    fixture.run();
    CHECK(fixture.kept.size() == 2);
}

TEST_CASE("a client that goes while its command runs makes room for the next", "[server]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    TestClient client = fixture.connect(fixture.path());
    client.send(R"({"execute": "slow"})");
    fixture.run();
    client.close();
    fixture.run();
    TestClient next = fixture.connect(fixture.path());
    CHECK(fixture.ask(next, R"({"execute": "query-status"})") == Values{kFine});
    fixture.kept.front().reply();
    fixture.run();
    CHECK(next.take().empty());
}

TEST_CASE("a client that stops reading is not served further, and then gets everything",
          "[server]") {
    ServerFixture fixture;
    const std::string other_path = fixture.directory.file("monitor.sock");
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    REQUIRE(fixture.server->listen(other_path).has_value());
    TestClient slow = fixture.connect(fixture.path());
    constexpr int kCommands = 20;
    for (int i = 0; i < kCommands; ++i)
        slow.send(R"({"execute": "huge"})");
    slow.send(R"({"execute": "add-fd"})");
    fixture.run();

    TestClient other = fixture.connect(other_path);
    CHECK(fixture.ask(other, R"({"execute": "query-status"})") == Values{kFine});

    Values lines;
    std::size_t before = 0;
    do {
        before = lines.size() + slow.received_bytes();
        for (Json& line : slow.take())
            lines.push_back(std::move(line));
        fixture.run();
    } while (lines.size() + slow.received_bytes() != before);
    REQUIRE(lines.size() == kCommands + 1);
    CHECK(lines.front()["return"].get<std::string>().size() == 700'000);
    CHECK(lines.back()["error"]["desc"] == "no descriptor");
}

TEST_CASE("a client that never reads its events is disconnected, others keep theirs", "[server]") {
    ServerFixture fixture;
    const std::string other_path = fixture.directory.file("monitor.sock");
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    REQUIRE(fixture.server->listen(other_path).has_value());
    TestClient slow = fixture.connect(fixture.path());
    TestClient other = fixture.connect(other_path);
    const std::string status(100'000, 's');
    std::size_t got = 0;
    constexpr int kEvents = 200; // 20 MB
    for (int i = 0; i < kEvents; ++i) {
        fixture.server->emit("MIGRATION", Json{{"status", status}});
        fixture.run();
        got += other.take().size();
        fixture.run();
        got += other.take().size();
    }
    CHECK(got == kEvents);
    CHECK(fixture.server->connection_count() == 1);
    TestClient next = fixture.connect(fixture.path());
    CHECK(fixture.ask(next, R"({"execute": "query-status"})") == Values{kFine});
}

TEST_CASE("quit answers, with its event before, closes and then ends", "[server]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    TestClient client = fixture.connect(fixture.path());
    const Values lines = fixture.ask(client, R"({"execute": "quit"}{"execute": "query-status"})");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0]["event"] == "SHUTDOWN");
    CHECK(lines[1] == Json{{"return", Json::object()}});
    CHECK(client.ended());
    CHECK(fixture.ended);
    CHECK_THROWS(TestClient(fixture.path()));
}

TEST_CASE("shutdown without clients ends at once", "[server]") {
    ServerFixture fixture;
    fixture.server->shutdown([&] { fixture.ended = true; });
    fixture.run();
    CHECK(fixture.ended);
}

TEST_CASE("shutdown waits for a client to read, but not for ever", "[server]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    TestClient client = fixture.connect(fixture.path());
    client.send(R"({"execute": "huge"}{"execute": "quit"})");
    fixture.run();
    REQUIRE_FALSE(fixture.ended);

    SECTION("once the client has read, the end comes") {
        Values lines;
        while (!client.ended()) {
            fixture.run();
            for (Json& line : client.take())
                lines.push_back(std::move(line));
        }
        fixture.run();
        CHECK(lines.back() == Json{{"return", Json::object()}});
        CHECK(fixture.ended);
    }
    SECTION("a client that does not read is closed at the time limit") {
        fixture.io.restart();
        while (!fixture.ended && fixture.io.run_one() > 0) {
        }
        CHECK(fixture.ended);
    }
}

TEST_CASE("a passed connection is served beside the listeners", "[server]") {
    ServerFixture fixture;
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    TestClient client{UniqueFd(ends[0])};
    REQUIRE(fixture.server->adopt_connection(UniqueFd(ends[1])).has_value());
    fixture.run();
    CHECK(client.take().at(0).contains("QMP"));
}

TEST_CASE("an event whose data is not as declared is sent all the same", "[server]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    TestClient client = fixture.connect(fixture.path());
    fixture.server->emit("STOP", Json{{"more", 1}});
    fixture.server->emit("MIGRATION", Json{{"status", 7}});
    fixture.run();
    const Values events = client.take();
    REQUIRE(events.size() == 2);
    CHECK(events[0]["data"] == Json{{"more", 1}});
    CHECK(events[1]["data"] == Json{{"status", 7}});
}

TEST_CASE("a call says who asked for what, is answered once, and never forgotten", "[server]") {
    ServerFixture fixture;
    const std::string other = fixture.directory.file("other.sock");
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    REQUIRE(fixture.server->listen(other).has_value());
    TestClient first = fixture.connect(fixture.path());
    TestClient second = fixture.connect(other);
    CHECK(fixture.ask(first, R"({"execute": "slow"})").empty());
    CHECK(fixture.ask(second, R"({"execute": "slow"})").empty());
    REQUIRE(fixture.kept.size() == 2);
    CHECK(fixture.kept[0].command() == "slow");
    CHECK(fixture.kept[0].peer().pid == ::getpid());
    CHECK(fixture.kept[0].peer().uid == ::getuid());
    // The one in its place goes away.
    fixture.kept[0] = std::move(fixture.kept[1]);
    fixture.run();
    const Values forgotten = first.take();
    REQUIRE(forgotten.size() == 1);
    CHECK(forgotten[0]["error"]["desc"] == "The command slow ended without an answer");
    fixture.kept[0].reply();
    CHECK_THROWS_AS(fixture.kept[0].reply(), std::logic_error);
    fixture.run();
    CHECK(second.take() == Values{{{"return", Json::object()}}});
}

TEST_CASE("an event that was not declared is our own mistake", "[server]") {
    ServerFixture fixture;
    CHECK_THROWS_AS(fixture.server->emit("NOPE"), std::logic_error);
}
