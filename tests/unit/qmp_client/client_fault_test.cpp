// What a client says when the other side does not do its part.
#include "scripted_server.hpp"
#include "tests/support/temp_folder.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <sys/eventfd.h>
#include <sys/un.h>

using namespace mfd;
using namespace mfd::qmp;
using Catch::Matchers::ContainsSubstring;
using mfd::test::Scripted;
using mfd::test::ScriptedServer;
using mfd::test::TempFolder;

namespace {

UniqueFd bound_socket(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        throw std::runtime_error("bind " + path);
    return fd;
}

} // namespace

TEST_CASE("connecting to a missing socket says so", "[qmp_client]") {
    const TempFolder folder;
    const auto client = Client::connect(folder.file("none"));
    REQUIRE_FALSE(client.has_value());
    CHECK(client.error().code == Errc::NotFound);
    CHECK_THAT(client.error().what, ContainsSubstring(folder.file("none") + ": no such socket"));
}

TEST_CASE("connecting to a socket without a listener says so", "[qmp_client]") {
    const TempFolder folder;
    const auto bound = bound_socket(folder.file("dead"));
    const auto client = Client::connect(folder.file("dead"));
    REQUIRE_FALSE(client.has_value());
    CHECK(client.error().code == Errc::NotFound);
    CHECK_THAT(client.error().what, ContainsSubstring("nothing listens"));
}

TEST_CASE("a path that is too long for a socket is refused by its length", "[qmp_client]") {
    const auto client = Client::connect("/" + std::string(107, 'x'));
    REQUIRE_FALSE(client.has_value());
    CHECK(client.error().code == Errc::BadArgument);
    CHECK_THAT(client.error().what, ContainsSubstring("107 bytes"));
}

TEST_CASE("a server that accepts without greeting is busy with somebody else", "[qmp_client]") {
    const TempFolder folder;
    const auto bound = bound_socket(folder.file("busy"));
    REQUIRE(::listen(bound.get(), 1) == 0);
    const auto client = Client::connect(folder.file("busy"), {.timeout = Millis(1)});
    REQUIRE_FALSE(client.has_value());
    CHECK(client.error().sys == ETIMEDOUT);
    CHECK_THAT(client.error().what, ContainsSubstring("one client at a time"));
}

TEST_CASE("a full backlog ends the attempt when the time is over", "[qmp_client]") {
    const TempFolder folder;
    const auto bound = bound_socket(folder.file("full"));
    REQUIRE(::listen(bound.get(), 0) == 0);
    const auto first = Client::connect(folder.file("full"), {.timeout = Millis(1)});
    REQUIRE_FALSE(first.has_value());
    const auto second = Client::connect(folder.file("full"), {.timeout = Millis(1)});
    REQUIRE_FALSE(second.has_value());
    CHECK_THAT(second.error().what, ContainsSubstring("does not accept"));
}

TEST_CASE("a peer that speaks something else is not taken for a QMP server", "[qmp_client]") {
    for (const std::string text : {"220 mail\r\n", "{\"hello\": 1}\n", "[]\n", "{\"QMP\": 1}\n",
                                   "{\"return\": {}, \"id\": \"mfd-1\"}\n"}) {
        INFO(text);
        Scripted server([&](ScriptedServer& s) { s.send(text); });
        const auto client = Client::adopt(server.client_end());
        REQUIRE_FALSE(client.has_value());
        CHECK_FALSE(client.error().what.empty());
    }
}

TEST_CASE("a refused negotiation carries the server's words", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.line(std::string(test::kGreeting));
        const auto request = s.request();
        s.line(
            Json{{"error", {{"class", "GenericError"}, {"desc", "no oob"}}}, {"id", request["id"]}}
                .dump());
    });
    const auto client = Client::adopt(server.client_end());
    REQUIRE_FALSE(client.has_value());
    CHECK(client.error().code == Errc::Unsupported);
    CHECK(client.error().what == "negotiation refused: no oob");
}

TEST_CASE("a call without a reply ends in time and its late reply is passed over", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        const auto late = s.request();
        const auto second = s.request();
        s.reply(late, "late");
        s.reply(second, "second");
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto given_up = client->call("first", Json::object(), {.timeout = Millis(0)});
    REQUIRE_FALSE(given_up.has_value());
    CHECK(given_up.error().sys == ETIMEDOUT);
    CHECK(given_up.error().what == "first: no reply in time");
    const auto second = client->call("second");
    REQUIRE(second.has_value());
    CHECK(*second == "second");
}

TEST_CASE("an error without an id belongs to the request that is open", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        s.request();
        s.line(R"({"error": {"class": "GenericError", "desc": "JSON parse error"}})");
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto reply = client->execute("x");
    REQUIRE(reply.has_value());
    CHECK(reply->error->desc == "JSON parse error");
}

TEST_CASE("a lost connection is reported, also by every later call", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        s.request();
        s.send(R"({"return": )");
        s.close();
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto first = client->call("query-status");
    REQUIRE_FALSE(first.has_value());
    CHECK(first.error().what ==
          "query-status: connection lost: the server closed it within a message");
    const auto second = client->call("query-name");
    REQUIRE_FALSE(second.has_value());
    CHECK_THAT(second.error().what, ContainsSubstring("connection lost"));
    CHECK_FALSE(client->receive_available().has_value());
}

TEST_CASE("what arrived before the connection was lost can still be taken", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        s.reply(s.request(), 1);
        s.line(R"({"event": "SHUTDOWN"})");
        s.close();
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    REQUIRE(client->call("quit").has_value());
    REQUIRE(server.join().empty());
    const auto event = client->wait_event("SHUTDOWN", Millis(30'000));
    REQUIRE(event.has_value());
    CHECK(event->has_value());
    CHECK_FALSE(client->wait_event("SHUTDOWN", Millis(30'000)).has_value());
}

TEST_CASE("a malformed message ends the connection", "[qmp_client]") {
    for (const std::string text : {"{\"return\": 1", "17", "{}", "{\"error\": 5}",
                                   "{\"error\": {\"class\": 1, \"desc\": 2}}", "\xff\xfe"}) {
        INFO(text);
        Scripted server([&](ScriptedServer& s) {
            s.greet();
            s.request();
            s.line(text);
            s.wait_for_close();
        });
        {
            auto client = Client::adopt(server.client_end());
            REQUIRE(client.has_value());
            const auto value = client->call("x");
            REQUIRE_FALSE(value.has_value());
            CHECK_THAT(value.error().what, ContainsSubstring("connection lost"));
        }
        CHECK(server.join().empty());
    }
}

TEST_CASE("a message without an end is given up at the limit", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        const std::string piece(1 << 20, 'x');
        for (;;)
            s.send(piece);
    });
    {
        auto client = Client::adopt(server.client_end());
        REQUIRE(client.has_value());
        const auto value = client->call("x");
        REQUIRE_FALSE(value.has_value());
        CHECK_THAT(value.error().what, ContainsSubstring("exceeds 64 MiB"));
    }
    CHECK(server.join() == "the client is gone");
}

TEST_CASE("a server that does not read ends a large call in time", "[qmp_client]") {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const UniqueFd silent(ends[1]);
    const std::string hello =
        std::string(test::kGreeting) + "\n{\"return\": {}, \"id\": \"mfd-1\"}\n";
    REQUIRE(::send(silent.get(), hello.data(), hello.size(), 0) ==
            static_cast<ssize_t>(hello.size()));
    auto client = Client::adopt(UniqueFd(ends[0]));
    REQUIRE(client.has_value());
    const auto value =
        client->call("x", Json{{"a", std::string(8 << 20, 'x')}}, {.timeout = Millis(1)});
    REQUIRE_FALSE(value.has_value());
    CHECK_THAT(value.error().what, ContainsSubstring("does not read"));
    // Half of it is under way: what came next would be read as its rest.
    const auto next = client->call("y", Json::object(), {.timeout = Millis(1)});
    REQUIRE_FALSE(next.has_value());
    CHECK_THAT(next.error().what, ContainsSubstring("connection lost"));
}

TEST_CASE("a large call does not block against a server that sends meanwhile", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        for (int i = 0; i < 4000; ++i) // more than both socket buffers hold
            s.line(Json{{"event", "E"}, {"data", {{"text", std::string(1000, 'y')}}}}.dump());
        s.reply(s.request(), 1);
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto value = client->call("x", Json{{"a", std::string(8 << 20, 'x')}});
    REQUIRE(value.has_value());
    CHECK(*value == 1);
}

TEST_CASE("an interruption ends a wait for an event, but not a call", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        s.reply(s.request(), 1);
        s.wait_for_close();
    });
    const UniqueFd signal(::eventfd(1, EFD_CLOEXEC));
    {
        auto client = Client::adopt(server.client_end());
        REQUIRE(client.has_value());
        client->interrupt_on(signal.ref());
        CHECK(client->call("x").has_value());
        const auto event = client->wait_event("NEVER", Millis(30'000));
        REQUIRE_FALSE(event.has_value());
        CHECK(event.error().code == Errc::Cancelled);
    }
    CHECK(server.join().empty());
}

TEST_CASE("descriptors go with a call once, in however many parts it is sent", "[qmp_client]") {
    std::size_t received = 0;
    Scripted server([&](ScriptedServer& s) {
        s.greet();
        s.reply(s.request(), 1);
        received = s.received.size();
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const UniqueFd passed(::eventfd(0, EFD_CLOEXEC));
    const std::array<FdRef, 1> fds{passed.ref()};
    CHECK(client->call("add-fd", Json{{"a", std::string(8 << 20, 'x')}}, {.fds = fds}).has_value());
    CHECK(server.join().empty());
    CHECK(received == 1);
}

TEST_CASE("a closed descriptor or too many are refused before anything is sent", "[qmp_client]") {
    Scripted server([](ScriptedServer& s) {
        s.greet();
        s.reply(s.request(), 1);
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const std::array<FdRef, 1> closed{FdRef(1'000'000)};
    const auto refused = client->call("add-fd", Json::object(), {.fds = closed});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().sys == EBADF);
    const std::vector<FdRef> many(Client::kMaxFdsPerMessage + 1, FdRef(0));
    CHECK_FALSE(client->call("add-fd", Json::object(), {.fds = many}).has_value());
    CHECK(client->call("query-name").has_value());
    CHECK(server.join().empty());
}

TEST_CASE("a started command can be waited for in pieces, and an interruption loses no reply",
          "[qmp_client]") {
    UniqueFd interrupt(::eventfd(1, EFD_CLOEXEC)); // readable from the start
    Scripted server([&](ScriptedServer& s) {
        s.greet();
        const auto first = s.request();
        s.reply(s.request(), 1); // by a call in between, which takes it
        s.reply(first, 2);
    });
    auto client = Client::adopt(server.client_end());
    REQUIRE(client.has_value());
    const auto ticket = client->start("query-status");
    REQUIRE(ticket.has_value());
    const auto nothing = client->finish(*ticket, Millis(0));
    REQUIRE(nothing.has_value());
    CHECK_FALSE(nothing->has_value());
    client->interrupt_on(interrupt.ref());
    const auto interrupted = client->finish(*ticket, Millis(60'000));
    REQUIRE_FALSE(interrupted.has_value());
    CHECK(interrupted.error().code == Errc::Cancelled);
    const auto call = client->call("query-name");
    REQUIRE(call.has_value());
    CHECK(*call == Json(1));
    client->interrupt_on(FdRef());
    const auto reply = client->finish(*ticket, Millis(60'000));
    REQUIRE(reply.has_value());
    REQUIRE(reply->has_value());
    CHECK((*reply)->value == Json(2));
    CHECK(server.join().empty());
}

TEST_CASE("a greeting that does not come is not waited for once somebody wants to leave",
          "[qmp_client]") {
    UniqueFd interrupt(::eventfd(1, EFD_CLOEXEC));
    Scripted server([](ScriptedServer& s) { s.wait_for_close(); });
    const auto client = Client::adopt(server.client_end(),
                                      {.timeout = Millis(60'000), .interrupt = interrupt.ref()});
    REQUIRE_FALSE(client.has_value());
    CHECK(client.error().code == Errc::Cancelled);
    CHECK(server.join().empty());
}
