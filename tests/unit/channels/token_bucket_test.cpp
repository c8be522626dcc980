#include "channels/token_bucket.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <random>
#include <vector>

using mfd::TokenBucket;
using namespace std::chrono_literals;
using Clock = TokenBucket::Clock;

namespace {

constexpr Clock::time_point kStart{};
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

struct Grant {
    Clock::time_point at;
    std::uint64_t bytes = 0;
};

// Channels that want to move pages without end. Each wakes up a little later than it was told, as
// threads do, and now and then its device takes a while.
std::vector<Grant> run(std::uint64_t rate, unsigned channels, std::chrono::seconds duration) {
    TokenBucket bucket(rate, kStart);
    std::mt19937_64 random(rate + channels);
    std::vector<Clock::time_point> wake(channels, kStart);
    std::vector<Grant> grants;
    for (;;) {
        auto& next = *std::min_element(wake.begin(), wake.end());
        const auto now = next;
        if (now >= kStart + duration)
            return grants;
        const std::uint64_t most = std::min<std::uint64_t>(bucket.transfer_bytes(), 4 * kMiB);
        const std::uint64_t bytes = random() % 4 == 0 ? most / 2 : most;
        const auto wait = bucket.take(bytes, now);
        if (wait <= wait.zero())
            grants.push_back({now, bytes});
        const std::chrono::microseconds late(random() % 500 + (random() % 50 == 0 ? 5000 : 0));
        next = now + std::chrono::ceil<Clock::duration>(wait) + late;
    }
}

} // namespace

TEST_CASE("in every second the granted bytes are within 5 % of the rate", "[token_bucket]") {
    const auto rate = GENERATE(kMiB, 32 * kMiB, 128 * kMiB, 1000 * kMiB);
    const auto channels = GENERATE(1U, 2U, 16U);
    const auto grants = run(rate, channels, 10s);
    REQUIRE(grants.size() > 100);
    double most = 0;
    double least = static_cast<double>(rate);
    std::uint64_t sum = 0;
    auto first = grants.begin();
    for (const Grant& grant : grants) { // the second that ends with this grant
        sum += grant.bytes;
        for (; first->at <= grant.at - 1s; ++first)
            sum -= first->bytes;
        most = std::max(most, static_cast<double>(sum));
        if (grant.at >= kStart + 1s)
            least = std::min(least, static_cast<double>(sum));
    }
    CHECK(most < 1.05 * static_cast<double>(rate));
    CHECK(least > 0.95 * static_cast<double>(rate));
}

TEST_CASE("a transfer on credit is paid back before the next one", "[token_bucket]") {
    TokenBucket bucket(1000, kStart);
    CHECK(bucket.take(500, kStart) == 0s);
    CHECK(bucket.take(1, kStart) == 500ms);
    CHECK(bucket.take(1, kStart + 499ms) > 0s);
    CHECK(bucket.take(1, kStart + 500ms) == 0s);
}

TEST_CASE("a pause saves up a fiftieth of a second and no more", "[token_bucket]") {
    TokenBucket bucket(1000, kStart);
    CHECK(bucket.take(20, kStart + 1h) == 0s);
    CHECK(bucket.take(1, kStart + 1h) == 0s); // on credit
    CHECK(bucket.take(1, kStart + 1h) == 1ms);
}

TEST_CASE("a transfer should be no more than a fiftieth of a second", "[token_bucket]") {
    CHECK(TokenBucket(100 * kMiB, kStart).transfer_bytes() == 2 * kMiB);
    CHECK(TokenBucket(1, kStart).transfer_bytes() == 0);
}
