#include "channels/rate_limiter.hpp"

#include <catch2/catch_test_macros.hpp>

#include <latch>
#include <thread>

using mfd::RateLimiter;

TEST_CASE("without a rate nothing waits", "[rate_limiter]") {
    RateLimiter limiter(0);
    CHECK(limiter.acquire(std::uint64_t{1} << 60, {}));
    CHECK(limiter.acquire(std::uint64_t{1} << 60, {}));
}

TEST_CASE("the first bytes go on credit, the next ones wait until stopped", "[rate_limiter]") {
    RateLimiter limiter(1); // a byte per second: paying back takes longer than any test
    std::stop_source stop;
    REQUIRE(limiter.acquire(1'000'000'000, stop.get_token()));
    bool second = true;
    std::jthread waiter([&] { second = limiter.acquire(1, stop.get_token()); });
    stop.request_stop();
    waiter.join();
    CHECK_FALSE(second);
}

TEST_CASE("lifting the limit releases those who wait", "[rate_limiter]") {
    RateLimiter limiter(1);
    REQUIRE(limiter.acquire(1'000'000'000, {}));
    std::latch begun(1);
    bool released = false;
    std::jthread waiter([&] {
        begun.count_down();
        released = limiter.acquire(1, {});
    });
    begun.wait();
    limiter.set_rate(0);
    waiter.join();
    CHECK(released);
}

TEST_CASE("a requested stop wins over free bandwidth", "[rate_limiter]") {
    std::stop_source stop;
    stop.request_stop();
    RateLimiter unlimited(0);
    CHECK_FALSE(unlimited.acquire(1, stop.get_token()));
    RateLimiter limited(1'000'000);
    CHECK_FALSE(limited.acquire(1, stop.get_token()));
}

TEST_CASE("time pays for bytes that went on credit", "[rate_limiter]") {
    RateLimiter limiter(1'000'000);
    for (int i = 0; i < 5; ++i)
        CHECK(limiter.acquire(20'000, {}));
}
