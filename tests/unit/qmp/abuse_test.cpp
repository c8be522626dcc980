#include "counted_allocation.hpp"
#include "server_fixture.hpp"

#include "qmp/limits.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>

using namespace mfd;
using namespace mfd::qmp;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// A client that misbehaves, and one beside it that must not notice.
struct Fixture : ServerFixture {
    Fixture() : before(open_descriptors()) {
        REQUIRE(server->listen(path()).has_value());
        REQUIRE(server->listen(directory.file("other.sock")).has_value());
        bad = std::make_unique<TestClient>(connect(path()));
        good = std::make_unique<TestClient>(connect(directory.file("other.sock")));
    }

    bool good_is_served() {
        return ask(*good, R"({"execute": "query-status"})") ==
               std::vector<Json>{{{"return", "fine"}}};
    }

    // Sends all of it, and reads what comes back meanwhile.
    std::vector<Json> converse(std::string_view text) {
        std::vector<Json> replies;
        while (!text.empty()) {
            text.remove_prefix(bad->send(text));
            run();
            for (Json& reply : bad->take())
                replies.push_back(std::move(reply));
        }
        return replies;
    }

    void close_all() {
        bad.reset();
        good.reset();
        run();
        server.reset();
        run();
    }

    std::size_t before;
    std::unique_ptr<TestClient> bad;
    std::unique_ptr<TestClient> good;
};

} // namespace

TEST_CASE("a line of 1 GiB is refused in bounded memory, and the client goes on", "[abuse]") {
    Fixture fixture;
    const std::string piece(kMiB, 'x');
    const std::size_t base = start_peak();
    std::vector<Json> replies = fixture.converse("{\"execute\": \"");
    for (int i = 0; i < 1024; ++i)
        for (Json& reply : fixture.converse(piece))
            replies.push_back(std::move(reply));
    CHECK(fixture.good_is_served());
    // The text so far, its double while it grows, and some for the rest.
    CHECK(peak_bytes() - base < 4 * limits::kTokenBytes);

    REQUIRE_FALSE(replies.empty());
    for (const Json& reply : replies)
        CHECK(reply["error"]["desc"] == "JSON token size limit exceeded");
    // What is left of the line is a word of almost 64 MiB by now, and quoted in the reply.
    replies = fixture.converse("\xff\n{\"execute\": \"query-status\"}");
    constexpr int kMoreThanEnough = 100'000; // reads of what a socket holds
    for (int i = 0; i < kMoreThanEnough && replies.size() < 3; ++i) {
        fixture.run();
        for (Json& reply : fixture.bad->take())
            replies.push_back(std::move(reply));
    }
    REQUIRE(replies.size() == 3);
    CHECK(replies.back() == Json{{"return", "fine"}});
    fixture.close_all();
    CHECK(open_descriptors() == fixture.before);
}

TEST_CASE("a million tiny commands are all answered, and another client in between", "[abuse]") {
    Fixture fixture;
    std::string batch;
    constexpr int kBatch = 1000;
    for (int i = 0; i < kBatch; ++i)
        batch += "{}";
    const std::size_t base = start_peak();
    std::size_t answered = 0;
    bool served = true;
    for (int i = 0; i < 1000; ++i) {
        answered += fixture.converse(batch).size();
        served = served && fixture.good_is_served();
    }
    CHECK(answered == 1'000'000);
    CHECK(served);
    CHECK(peak_bytes() - base < 16 * kMiB);
}

TEST_CASE("a client that sends without ever reading is held in bounded memory", "[abuse]") {
    Fixture fixture;
    const std::string batch(100'000, ']');
    const std::size_t base = start_peak();
    std::size_t sent = 0;
    for (std::size_t took = 1; took > 0;) {
        took = fixture.bad->send(batch);
        sent += took;
        fixture.run();
    }
    CHECK(sent < 16 * kMiB);
    CHECK(peak_bytes() - base < 8 * kMiB);
    CHECK(fixture.good_is_served());

    std::size_t got = 0;
    for (std::size_t last = 1; last > 0; got += last) {
        last = fixture.bad->take().size();
        fixture.run();
    }
    CHECK(got == sent);
}

TEST_CASE("brackets without end cost no more than the nesting limit", "[abuse]") {
    Fixture fixture;
    const std::size_t base = start_peak();
    for (int i = 0; i < 16; ++i)
        for (const Json& reply : fixture.converse(std::string(64 * 1024, '[')))
            REQUIRE(reply["error"]["desc"] == "JSON nesting depth limit exceeded");
    CHECK(peak_bytes() - base < 4 * kMiB);
    CHECK(fixture.good_is_served());
}

TEST_CASE("clients that come and go leave nothing behind", "[abuse]") {
    Fixture fixture;
    fixture.bad->close();
    fixture.run();
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (int i = 0; i < 1000; ++i) {
        TestClient client(fixture.path());
        client.send(R"({"execute": "qmp_capabilities"}{"execute": "query-status"}{"exe)",
                    {null.get(), null.get()});
    }
    fixture.run();
    CHECK(fixture.good_is_served());
    CHECK(fixture.server->connection_count() == 1);
    fixture.close_all();
    CHECK(open_descriptors() == fixture.before + 1);
}
