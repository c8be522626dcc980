#include "server_fixture.hpp"

#include <catch2/catch_test_macros.hpp>
#include <spdlog/spdlog.h>

#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace mfd;
using namespace mfd::qmp;

namespace {

UniqueFd open_null(int flags) {
    return UniqueFd(::open("/dev/null", flags | O_CLOEXEC));
}

int flags_of(const UniqueFd& fd) {
    return ::fcntl(fd.get(), F_GETFL);
}

struct Fixture : ServerFixture {
    Fixture() {
        REQUIRE(server->listen(path()).has_value());
        client = std::make_unique<TestClient>(connect(path()));
    }
    std::vector<Json> add_fd(const std::vector<int>& fds) {
        return ask(*client, R"({"execute": "add-fd"})", fds);
    }
    std::unique_ptr<TestClient> client;
};

} // namespace

TEST_CASE("a descriptor arrives, blocking and closed on exec", "[server][fd]") {
    Fixture fixture;
    const UniqueFd sent = open_null(O_WRONLY | O_NONBLOCK);
    CHECK(fixture.add_fd({sent.get()})[0]["return"] == 1);
    CHECK((flags_of(fixture.taken[0]) & (O_ACCMODE | O_NONBLOCK)) == O_WRONLY);
    CHECK(::fcntl(fixture.taken[0].get(), F_GETFD) == FD_CLOEXEC);
    CHECK(fixture.add_fd({})[0]["error"]["desc"] == "no descriptor");
}

TEST_CASE("of several descriptors in a message the first is taken, the others are closed",
          "[server][fd]") {
    Fixture fixture;
    const UniqueFd first = open_null(O_WRONLY);
    const UniqueFd second = open_null(O_RDONLY);
    const std::size_t before = open_descriptors();
    CHECK(fixture.add_fd({first.get(), second.get(), second.get()})[0].contains("return"));
    CHECK((flags_of(fixture.taken[0]) & O_ACCMODE) == O_WRONLY);
    CHECK(open_descriptors() == before + 1);
}

TEST_CASE("commands sent in one go each get their own descriptor", "[server][fd]") {
    Fixture fixture;
    const UniqueFd first = open_null(O_WRONLY);
    const UniqueFd second = open_null(O_RDONLY);
    fixture.client->send(R"({"execute": "add-fd"})", {first.get()});
    fixture.client->send(R"({"execute": "add-fd"})", {second.get()});
    fixture.run();
    REQUIRE(fixture.taken.size() == 2);
    CHECK((flags_of(fixture.taken[0]) & O_ACCMODE) == O_WRONLY);
    CHECK((flags_of(fixture.taken[1]) & O_ACCMODE) == O_RDONLY);
}

TEST_CASE("a descriptor that came with half a command belongs to it", "[server][fd]") {
    Fixture fixture;
    const UniqueFd sent = open_null(O_WRONLY);
    CHECK(fixture.ask(*fixture.client, R"({"execute": )", {sent.get()}).empty());
    CHECK(fixture.ask(*fixture.client, R"("add-fd"})")[0]["return"] == 1);
}

TEST_CASE("descriptors that no command took are closed with the connection", "[server][fd]") {
    Fixture fixture;
    const UniqueFd sent = open_null(O_WRONLY);
    const std::size_t before = open_descriptors();
    CHECK(fixture.ask(*fixture.client, R"({"execute": "query-status"})", {sent.get()})[0].contains(
        "return"));
    CHECK(open_descriptors() == before + 1);
    fixture.client->close();
    fixture.run();
    CHECK(open_descriptors() == before - 2); // and both ends of the connection

    TestClient next = fixture.connect(fixture.path());
    CHECK(fixture.ask(next, R"({"execute": "add-fd"})")[0].contains("error"));
}

TEST_CASE("10000 descriptors that nobody takes leave one open", "[server][fd]") {
    Fixture fixture;
    const UniqueFd sent = open_null(O_WRONLY);
    const std::size_t before = open_descriptors();
    const std::vector<int> many(250, sent.get());
    for (int i = 0; i < 40; ++i) {
        CHECK(fixture.ask(*fixture.client, R"({"execute": "query-status"})", many)[0].contains(
            "return"));
    }
    CHECK(open_descriptors() == before + 1);
    CHECK(fixture.add_fd({})[0]["return"] == 1);
}

TEST_CASE("a descriptor too many for the process is an error of one command", "[server][fd]") {
    Fixture fixture;
    const UniqueFd sent = open_null(O_WRONLY);
    fixture.client->send(R"({"execute": "add-fd"})", {sent.get()});
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit none{0, limit.rlim_max};
    // Without descriptors UBSan cannot look at memory, and then takes the formatting of the warning
    // that is logged here for a fault.
    const auto level = spdlog::get_level();
    spdlog::set_level(spdlog::level::off);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    fixture.run();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    spdlog::set_level(level);
    CHECK(fixture.client->take()[0]["error"]["desc"] == "no descriptor");
    CHECK(fixture.add_fd({sent.get()})[0]["return"] == 1);
}
