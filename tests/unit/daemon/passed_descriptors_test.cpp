#include "daemon/service/activation.hpp"
#include "daemon/service/passed_descriptors.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstdlib>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

using mfd::PassedDescriptor;
using mfd::QmpEndpoint;
using mfd::UniqueFd;

namespace {

// Bound to an address that the kernel chooses, so that no file is left.
UniqueFd listening_socket() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address.sun_family)) == 0);
    REQUIRE(::listen(fd.get(), 1) == 0);
    return fd;
}

UniqueFd plain_file() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

} // namespace

TEST_CASE("passed descriptors are taken once, close-on-exec, and nobody else gets them",
          "[service]") {
    // NOLINTBEGIN(concurrency-mt-unsafe): one thread
    const UniqueFd null(::fcntl(plain_file().get(), F_DUPFD_CLOEXEC, 10));
    REQUIRE(::dup2(null.get(), 3) == 3);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", "1", 1);
    ::setenv("LISTEN_FDNAMES", "ram-0", 1);
    const auto passed = mfd::take_passed_descriptors();
    REQUIRE(passed.has_value());
    REQUIRE(passed->size() == 1);
    CHECK((*passed)[0].name == "ram-0");
    CHECK((*passed)[0].fd.get() == 3);
    CHECK(::fcntl(3, F_GETFD) == FD_CLOEXEC);
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
        CHECK(::getenv(name) == nullptr);
    // NOLINTEND(concurrency-mt-unsafe)
}

TEST_CASE("the name of a passed socket says what it serves", "[service]") {
    struct Case {
        const char* name;
        bool qmp;
        bool read_only;
    };
    const auto c = GENERATE(Case{"qmp", true, false}, Case{"qmp-libvirt", true, false},
                            Case{"qmp-ro", true, true}, Case{"qmp-ro-watch", true, true},
                            Case{"qmp-root", true, false}, Case{"qmpx", false, false},
                            Case{"xqmp", false, false}, Case{"QMP", false, false},
                            Case{"ram-0", false, false}, Case{"", false, false});
    CAPTURE(c.name);
    CHECK(mfd::names_qmp_socket(c.name) == c.qmp);
    CHECK(mfd::names_read_only_socket(c.name) == c.read_only);
}

TEST_CASE("passed QMP sockets become endpoints in order, the rest stays in order", "[service]") {
    std::vector<PassedDescriptor> passed;
    passed.push_back({"ram-0", plain_file()});
    passed.push_back({"qmp", listening_socket()});
    passed.push_back({"fdset-1", plain_file()});
    passed.push_back({"qmp-ro", listening_socket()});
    const int first = passed[1].fd.get(), second = passed[3].fd.get();
    std::vector<QmpEndpoint> endpoints;
    REQUIRE(mfd::activate_qmp_sockets(passed, endpoints).has_value());
    REQUIRE(passed.size() == 2);
    CHECK(passed[0].name == "ram-0");
    CHECK(passed[1].name == "fdset-1");
    REQUIRE(endpoints.size() == 2);
    const UniqueFd owned_first(endpoints[0].fd), owned_second(endpoints[1].fd);
    CHECK(endpoints[0].fd == first);
    CHECK_FALSE(endpoints[0].read_only);
    CHECK(endpoints[1].fd == second);
    CHECK(endpoints[1].read_only);
}

TEST_CASE("passed sockets and an endpoint of the command line exclude each other", "[service]") {
    std::vector<QmpEndpoint> endpoints(1);
    endpoints[0].path = "/run/q.sock";
    std::vector<PassedDescriptor> passed;
    passed.push_back({"ram-0", plain_file()});
    REQUIRE(mfd::activate_qmp_sockets(passed, endpoints).has_value());
    CHECK(endpoints.size() == 1);
    passed.push_back({"qmp-a", listening_socket()});
    const auto refused = mfd::activate_qmp_sockets(passed, endpoints);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().what == "-qmp does not go with the socket 'qmp-a' that the service "
                                  "manager passed: leave out one of the two");
}

TEST_CASE("of unclaimed descriptors only a listening socket is an error", "[service]") {
    std::vector<PassedDescriptor> passed;
    passed.push_back({"leftover", plain_file()});
    CHECK(mfd::close_unclaimed(passed).has_value());
    CHECK(passed.empty());
    std::vector<PassedDescriptor> sockets;
    sockets.push_back({"guest.socket", listening_socket()});
    const auto refused = mfd::close_unclaimed(sockets);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().what ==
          "descriptor 'guest.socket' passed by the service manager: a socket needs "
          "FileDescriptorName=qmp, qmp-NAME, qmp-ro-NAME or metrics to be served");
}
