#include "server_fixture.hpp"

#include "qmp/socket_io.hpp"
#include "tests/support/sanitizers.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace mfd;
using namespace mfd::qmp;

namespace {

mode_t mode_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

} // namespace

TEST_CASE("the socket has the mode asked for, whatever the umask", "[listener]") {
    const ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path(), {.mode = 0660}).has_value());
    CHECK(mode_of(fixture.path()) == 0660);
}

TEST_CASE("a socket that a dead process left is replaced", "[listener]") {
    ServerFixture fixture;
    (void)make_listening_socket(fixture.path(), 0600); // closed at once, the file stays
    REQUIRE(std::filesystem::exists(fixture.path()));
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    TestClient client = fixture.connect(fixture.path());
    CHECK(fixture.ask(client, R"({"execute": "query-status"})")[0].contains("return"));
}

TEST_CASE("a socket in use is not taken over", "[listener]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    const auto second = fixture.server->listen(fixture.path());
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().what ==
          "listen on '" + fixture.path() + "': another process is listening there");
    TestClient client = fixture.connect(fixture.path());
    CHECK(fixture.ask(client, R"({"execute": "query-status"})")[0].contains("return"));
}

TEST_CASE("a file at the path is left alone", "[listener]") {
    const ServerFixture fixture;
    std::ofstream(fixture.path()) << "precious";
    const auto result = fixture.server->listen(fixture.path());
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().what ==
          "listen on '" + fixture.path() + "': the path exists and is not a socket");
    CHECK(std::filesystem::file_size(fixture.path()) == 8);
}

TEST_CASE("paths a socket cannot have are refused", "[listener]") {
    const ServerFixture fixture;
    CHECK_FALSE(fixture.server->listen("").has_value());
    CHECK_FALSE(fixture.server->listen("/" + std::string(200, 'x')).has_value());
    CHECK_FALSE(fixture.server->listen(fixture.directory.file("no/such/place")).has_value());
    const auto zero = fixture.server->listen(fixture.path() + std::string(1, '\0') + "more");
    REQUIRE_FALSE(zero.has_value());
    CHECK(zero.error().what == "listen on a socket: its path contains a zero byte");
}

TEST_CASE("an inherited listening socket is served, and its path stays", "[listener]") {
    ServerFixture fixture;
    auto socket = make_listening_socket(fixture.path(), 0600);
    REQUIRE(socket.has_value());
    REQUIRE(fixture.server->adopt_listener(std::move(*socket)).has_value());
    TestClient client = fixture.connect(fixture.path());
    CHECK(fixture.ask(client, R"({"execute": "query-status"})")[0].contains("return"));
    fixture.server.reset();
    CHECK(std::filesystem::exists(fixture.path()));
}

TEST_CASE("an inherited descriptor that does not fit is refused", "[listener]") {
    const ServerFixture fixture;
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const UniqueFd other(ends[1]);
    const auto connected = fixture.server->adopt_listener(UniqueFd(ends[0]));
    REQUIRE_FALSE(connected.has_value());
    CHECK(connected.error().what.find("is not a listening unix stream socket") !=
          std::string::npos);

    auto listening = make_listening_socket(fixture.path(), 0600);
    REQUIRE(listening.has_value());
    CHECK_FALSE(fixture.server->adopt_connection(std::move(*listening)).has_value());
}

TEST_CASE("the server removes its sockets, but not one that replaced it", "[listener]") {
    ServerFixture fixture;
    const std::string other_path = fixture.directory.file("other.sock");
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    REQUIRE(fixture.server->listen(other_path).has_value());
    std::filesystem::remove(other_path);
    const auto replacement = make_listening_socket(other_path, 0600);
    REQUIRE(replacement.has_value());
    fixture.server.reset();
    CHECK_FALSE(std::filesystem::exists(fixture.path()));
    CHECK(std::filesystem::exists(other_path));
}

#if !MFD_UBSAN
TEST_CASE("a client that comes while no descriptor is left is served when there is one again",
          "[listener]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    TestClient client(fixture.path());
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    {
        const UniqueFd lowest(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
        REQUIRE(lowest.valid());
        const rlimit none_left{static_cast<rlim_t>(lowest.get()), before.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none_left) == 0);
    }
    fixture.run();
    const std::size_t served = fixture.server->connection_count();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(served == 0);
    // It tries again by itself, a moment later.
    while (fixture.server->connection_count() == 0) {
        fixture.io.restart();
        fixture.io.run_one();
    }
    CHECK(client.take().size() == 1); // the greeting
    CHECK(fixture.ask(client, R"({"execute": "qmp_capabilities"})")[0].contains("return"));
}
#endif

TEST_CASE("a thousand clients connect, each is served in its turn, nothing stays open",
          "[listener]") {
    ServerFixture fixture;
    REQUIRE(fixture.server->listen(fixture.path()).has_value());
    const std::size_t before = open_descriptors();
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit enough{std::min<rlim_t>(limit.rlim_max, 4096), limit.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &enough) == 0);
    {
        std::deque<TestClient> clients;
        for (int i = 0; i < 1000; ++i)
            clients.emplace_back(fixture.path());
        while (!clients.empty()) {
            fixture.run();
            REQUIRE(clients.front().take().size() == 1);
            REQUIRE(fixture.server->connection_count() == 1);
            clients.pop_front();
        }
    }
    fixture.run();
    CHECK(open_descriptors() == before);
    CHECK(fixture.server->connection_count() == 0);
}
