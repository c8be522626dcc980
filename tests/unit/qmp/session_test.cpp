#include "session_fixture.hpp"

#include "qmp/limits.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>

using namespace mfd;
using namespace mfd::qmp;

namespace {

using Lines = std::vector<std::string>;

UniqueFd some_fd() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

std::string generic_error(const std::string& desc, const std::string& id = "") {
    return R"({"error": {"class": "GenericError", "desc": ")" + desc + R"("})" +
           (id.empty() ? "" : ", \"id\": " + id) + "}";
}

std::string not_found(const std::string& desc, const std::string& id = "") {
    return R"({"error": {"class": "CommandNotFound", "desc": ")" + desc + R"("})" +
           (id.empty() ? "" : ", \"id\": " + id) + "}";
}

const std::string kExpecting =
    not_found("Expecting capabilities negotiation with 'qmp_capabilities'");

std::string exec(const std::string& name, int id) {
    return R"({"execute": ")" + name + R"(", "id": )" + std::to_string(id) + "}";
}

std::string exec_oob(const std::string& name, int id) {
    return R"({"exec-oob": ")" + name + R"(", "id": )" + std::to_string(id) + "}";
}

} // namespace

TEST_CASE("a session begins with a greeting and refuses all but negotiation", "[session]") {
    SessionFixture fixture;
    CHECK(fixture.take() ==
          Lines{R"({"QMP": {"version": {"package": "test", "qemu": {"major": 10, )"
                R"("micro": 0, "minor": 0}}, "capabilities": ["oob"]}})"});
    fixture.send(R"({"execute": "query-status"} {"execute": "no-such"} {"execute": 5} [])");
    CHECK(fixture.take() == Lines{kExpecting, kExpecting,
                                  generic_error("QMP input member 'execute' must be a string"),
                                  generic_error("QMP input must be a JSON object")});
    CHECK_FALSE(fixture.session().in_command_mode());
}

TEST_CASE("a refused negotiation leaves negotiation mode on", "[session]") {
    SessionFixture fixture;
    (void)fixture.take();
    fixture.send(R"({"execute": "qmp_capabilities", "arguments": {"enable": ["bogus"]}})");
    fixture.send(R"({"execute": "qmp_capabilities", "arguments": {"enable": "oob"}})");
    fixture.send(R"({"execute": "qmp_capabilities", "arguments": {"bogus": 1}})");
    CHECK(fixture.take() ==
          Lines{generic_error("Parameter 'null' does not accept value 'bogus'"),
                generic_error("Invalid parameter type for 'enable', expected: array"),
                generic_error("Parameter 'bogus' is unexpected")});
    CHECK_FALSE(fixture.session().in_command_mode());

    fixture.send(R"({"execute": "qmp_capabilities", "arguments": {"enable": ["oob", "oob"]}})");
    fixture.send(R"({"execute": "qmp_capabilities"})");
    CHECK(fixture.take() ==
          Lines{R"({"return": {}})",
                not_found("Capabilities negotiation is already complete, command ignored")});
    CHECK(fixture.session().in_command_mode());
}

TEST_CASE("pipelined commands and parse errors are answered in their order", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    fixture.send(R"({"execute": "query-status", "id": [1]}]{"execute": "nope"} {"execute": "fai)");
    fixture.send(R"(ling", "id": null})");
    CHECK(fixture.take() == Lines{R"({"return": "fine", "id": [1]})",
                                  generic_error("JSON parse error, expecting value"),
                                  not_found("The command nope has not been found"),
                                  generic_error("the disk is on fire", "null")});
}

TEST_CASE("whatever is wrong with a command, the error has its id", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    fixture.send(R"({"execute": "nope", "id": 1} {"execute": 5, "id": 2} )"
                 R"({"execute": "query-status", "arguments": {"x": 0}, "id": 3} )"
                 R"({"execute": "qmp_capabilities", "id": 4})");
    CHECK(fixture.take() ==
          Lines{not_found("The command nope has not been found", "1"),
                generic_error("QMP input member 'execute' must be a string", "2"),
                generic_error("Parameter 'x' is unexpected", "3"),
                not_found("Capabilities negotiation is already complete, command ignored", "4")});
}

TEST_CASE("the next command starts after the answer to the one before", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    fixture.send(exec("slow", 1) + exec("slow", 2) + exec("query-status", 3));
    CHECK(fixture.kept().size() == 1);
    CHECK(fixture.take().empty());

    fixture.answer_first("a");
    CHECK(fixture.take() == Lines{R"({"return": "a", "id": 1})"});
    CHECK(fixture.kept().size() == 1);
    CHECK_FALSE(fixture.session().idle());

    fixture.answer_first("b");
    CHECK(fixture.take() == Lines{R"({"return": "b", "id": 2})", R"({"return": "fine", "id": 3})"});
    CHECK(fixture.session().idle());
}

TEST_CASE("an answer from another thread arrives through the event loop", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    fixture.send(exec("slow", 1));
    std::thread([&] { fixture.kept().front().reply("elsewhere"); }).join();
    CHECK(fixture.take().empty());
    fixture.run();
    CHECK(fixture.take() == Lines{R"({"return": "elsewhere", "id": 1})"});
}

TEST_CASE("a call that nobody answers is answered with an error", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    fixture.send(exec("forgotten", 1) + exec("query-status", 2));
    CHECK(fixture.take() ==
          Lines{generic_error("The command forgotten ended without an answer", "1"),
                R"({"return": "fine", "id": 2})"});
}

TEST_CASE("an answer that comes after the client has gone is dropped", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    fixture.send(exec("slow", 1));
    fixture.session().abandon();
    fixture.answer_first("late");
    CHECK(fixture.take().empty());

    fixture.send(exec("query-status", 2));
    CHECK(fixture.take().empty());
}

TEST_CASE("exec-oob is an unknown member until it is negotiated", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    fixture.send(exec_oob("urgent", 1));
    CHECK(fixture.take() == Lines{generic_error("QMP input member 'exec-oob' is unexpected", "1")});
}

TEST_CASE("an out-of-band command overtakes those that wait", "[session]") {
    SessionFixture fixture;
    fixture.negotiate("\"oob\"");
    fixture.send(exec("slow", 1) + exec("query-status", 2) + exec_oob("urgent", 3) +
                 exec_oob("query-status", 4) + exec_oob("nope", 5));
    CHECK(fixture.take() ==
          Lines{R"({"return": "now", "id": 3})",
                generic_error("The command query-status does not support OOB", "4"),
                R"({"error": {"class": "CommandNotFound", "desc": "The command nope has not been )"
                R"(found"}, "id": 5})"});
    fixture.answer_first("done");
    CHECK(fixture.take() ==
          Lines{R"({"return": "done", "id": 1})", R"({"return": "fine", "id": 2})"});
}

TEST_CASE("an out-of-band command that answers later holds nothing up", "[session]") {
    SessionFixture fixture;
    fixture.negotiate("\"oob\"");
    fixture.send(exec_oob("urgent-slow", 1) + exec("query-status", 2));
    CHECK(fixture.take() == Lines{R"({"return": "fine", "id": 2})"});
    fixture.answer_first("at last");
    CHECK(fixture.take() == Lines{R"({"return": "at last", "id": 1})"});
}

TEST_CASE("behind eight waiting commands an out-of-band one is not seen", "[session]") {
    SessionFixture fixture;
    fixture.negotiate("\"oob\"");
    std::string text = exec("slow", 0);
    for (int id = 1; id <= 8; ++id)
        text += exec("slow", id);
    fixture.send(text + exec_oob("urgent", 9));
    CHECK(fixture.take().empty());
    CHECK_FALSE(fixture.session().wants_input());

    fixture.answer_first("a"); // the second starts, seven wait, the next message is read
    CHECK(fixture.take() == Lines{R"({"return": "a", "id": 0})", R"({"return": "now", "id": 9})"});
}

TEST_CASE("large messages are not read ahead in number", "[session]") {
    SessionFixture fixture;
    fixture.negotiate("\"oob\"");
    const std::string big = R"({"execute": "query-status", "id": ")" +
                            std::string(limits::kQueuedRequestBytes, 'x') + "\"}";
    fixture.send(exec("slow", 0));
    fixture.send(big);
    fixture.send(exec_oob("urgent", 1));
    CHECK(fixture.take().empty());
    CHECK_FALSE(fixture.session().wants_input());
}

TEST_CASE("nothing starts while the client has too much to read", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    fixture.allow_start(false);
    fixture.send(exec("query-status", 1) + "]");
    CHECK(fixture.take().empty());
    CHECK_FALSE(fixture.session().wants_input());

    fixture.allow_start(true);
    fixture.resume();
    CHECK(fixture.take().size() == 2);
    CHECK(fixture.session().wants_input());
}

TEST_CASE("a client that sends many commands leaves the thread to others in between", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    std::string text;
    for (int i = 0; i < 100; ++i)
        text += "{} ";
    fixture.session().receive(text, {});
    const std::size_t at_once = fixture.take().size();
    CHECK(at_once > 0);
    CHECK(at_once < 100);
    fixture.run();
    CHECK(at_once + fixture.take().size() == 100);
}

TEST_CASE("after stop nothing starts, but what runs may be answered", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    fixture.send(exec("slow", 1) + exec("query-status", 2));
    fixture.session().stop();
    fixture.answer_first("bye");
    CHECK(fixture.take() == Lines{R"({"return": "bye", "id": 1})"});
}

TEST_CASE("a descriptor waits until a command takes it", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    fixture.send(R"({"execute": "query-status"})", some_fd());
    fixture.send(R"({"execute": "add-fd", "arguments": {"id": "x"}})");
    fixture.send(R"({"execute": "add-fd"})");
    fixture.send(R"({"execute": "add-fd"})");
    CHECK(fixture.take() ==
          Lines{R"({"return": "fine"})",
                generic_error("Invalid parameter type for 'id', expected: integer"),
                R"({"return": true})", R"({"return": false})"});
}

TEST_CASE("a new descriptor replaces and closes the one that waited", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    UniqueFd first = some_fd();
    const int number = first.get();
    fixture.send(R"({"execute": "query-status"})", std::move(first));
    REQUIRE(::fcntl(number, F_GETFD) >= 0);
    fixture.send(R"({"execute": "query-status"})", some_fd());
    CHECK(::fcntl(number, F_GETFD) == -1);
    fixture.send(R"({"execute": "add-fd"}{"execute": "add-fd"})");
    CHECK(fixture.take().back() == R"({"return": false})");
}

TEST_CASE("a queued command keeps the descriptor that came with it", "[session]") {
    SessionFixture fixture;
    fixture.negotiate("\"oob\"");
    fixture.send(exec("slow", 1));
    fixture.send(exec("add-fd", 2), some_fd());
    fixture.send(exec("add-fd", 3), some_fd());
    fixture.send(exec("add-fd", 4));
    fixture.answer_first("go");
    CHECK(fixture.take() == Lines{R"({"return": "go", "id": 1})", R"({"return": true, "id": 2})",
                                  R"({"return": true, "id": 3})", R"({"return": false, "id": 4})"});
}

TEST_CASE("a waiting descriptor is closed when the client goes", "[session]") {
    SessionFixture fixture;
    fixture.negotiate();
    UniqueFd fd = some_fd();
    const int number = fd.get();
    fixture.send(R"({"execute": "query-status"})", std::move(fd));
    fixture.session().abandon();
    CHECK(::fcntl(number, F_GETFD) == -1);
}

TEST_CASE("a socket for queries serves queries only", "[session]") {
    SessionFixture fixture;
    fixture.start({.exposure = Exposure::QueriesOnly});
    fixture.negotiate();
    fixture.send(R"({"execute": "query-status"}{"execute": "slow"}{"execute": "query-commands"})");
    const Lines lines = fixture.take();
    REQUIRE(lines.size() == 3);
    CHECK(lines[0] == R"({"return": "fine"})");
    CHECK(lines[1] == generic_error("The command slow is not served on this socket, which is for "
                                    "queries only"));
    CHECK(lines[2].find(R"({"name": "query-status"})") != std::string::npos);
}

TEST_CASE("an access check sees who asks for what, and its refusal is the reply", "[session]") {
    SessionFixture fixture;
    fixture.start({.access_check = [](const Peer& peer, const Command& command) {
        return command.name == "slow" && peer.uid == 2
                   ? std::optional(generic("user 2 may not do slow"))
                   : std::nullopt;
    }});
    fixture.negotiate();
    fixture.send(R"({"execute": "slow"}{"execute": "query-status"})");
    CHECK(fixture.take() ==
          Lines{generic_error("user 2 may not do slow"), R"({"return": "fine"})"});
}
