#include "server_fixture.hpp"

#include "qmp/limits.hpp"
#include "qmp/socket_io.hpp"

#include <catch2/catch_test_macros.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <array>
#include <memory>
#include <sstream>
#include <string>

#include <sys/stat.h>

using namespace mfd;
using namespace mfd::qmp;

namespace {

constexpr uid_t kAlice = 1001;
constexpr gid_t kStaff = 2001;
constexpr gid_t kOthers = 2002;

std::string log_of(RefusalLog& refusals, RefusalLog::Clock::time_point now) {
    std::ostringstream text;
    const auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_st>(text));
    const auto before = spdlog::default_logger();
    spdlog::set_default_logger(logger);
    refusals.refused({.pid = 4242, .uid = kAlice, .gid = kStaff}, now);
    spdlog::set_default_logger(before);
    return text.str();
}

} // namespace

TEST_CASE("a client is admitted by its user, its group or a supplementary group", "[access]") {
    const AllowedPeers allowed{.users = {kAlice}, .groups = {kStaff}};
    const std::array<gid_t, 2> member{7, kStaff};
    const std::array<gid_t, 2> none{7, kOthers};
    CHECK(allowed.admit({1, kAlice, kOthers}, none));
    CHECK(allowed.admit({1, kAlice + 1, kStaff}, none));
    CHECK(allowed.admit({1, kAlice + 1, kOthers}, member));
    CHECK_FALSE(allowed.admit({1, kAlice + 1, kOthers}, none));
    CHECK_FALSE(allowed.admit({1, kStaff, kAlice}, {})); // a user is no group
    CHECK_FALSE(AllowedPeers().admit({1, 0, 0}, {}));    // nobody means nobody, root included
}

TEST_CASE("by default this user, root and the group of the socket's file may connect", "[access]") {
    const ServerFixture fixture;
    const auto socket = make_listening_socket(fixture.path(), 0660);
    REQUIRE(socket.has_value());
    struct stat status {};
    REQUIRE(::stat(fixture.path().c_str(), &status) == 0);
    const AllowedPeers allowed = default_peers(socket->ref());
    CHECK(allowed.users == std::vector<uid_t>{0, ::geteuid()});
    CHECK(allowed.groups == std::vector<gid_t>{status.st_gid});
}

TEST_CASE("a socket without a file lets in this user and root alone", "[access]") {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(default_peers(socket.ref()).groups.empty());
}

TEST_CASE("who is not admitted reads the end, not a greeting, and takes no turn", "[access]") {
    ServerFixture fixture;
    const std::string open_path = fixture.directory.file("open.sock");
    const AllowedPeers somebody_else{.users = {::geteuid() + 1}, .groups = {}};
    REQUIRE(fixture.server->listen(fixture.path(), {.peers = somebody_else}).has_value());
    REQUIRE(fixture.server->listen(open_path).has_value());
    const std::size_t before = open_descriptors();
    TestClient refused(fixture.path());
    TestClient next(fixture.path());
    fixture.run();
    CHECK(refused.take().empty());
    CHECK(refused.ended());
    CHECK(next.take().empty());
    CHECK(next.ended());
    CHECK(open_descriptors() == before + 2); // the clients' own
    TestClient client = fixture.connect(open_path);
    CHECK(fixture.ask(client, R"({"execute": "query-status"})")[0].contains("return"));
}

TEST_CASE("refusals are reported once in a while, with the number of those between", "[access]") {
    RefusalLog refusals;
    const auto start = RefusalLog::Clock::now();
    const std::string first = log_of(refusals, start);
    CHECK(first.find("process 4242, user 1001, group 2001") != std::string::npos);
    CHECK(log_of(refusals, start).empty());
    CHECK(log_of(refusals, start + limits::kRefusalLogPause / 2).empty());
    const std::string later = log_of(refusals, start + limits::kRefusalLogPause);
    CHECK(later.find("(and 2 clients before it)") != std::string::npos);
}
