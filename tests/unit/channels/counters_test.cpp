#include "channels/counters.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using mfd::Counters;
using mfd::LatencyHistogram;
using std::chrono::microseconds;

TEST_CASE("a percentile is at or above the value and less than a quarter over it", "[counters]") {
    const auto us =
        GENERATE(std::int64_t{0}, 1, 3, 4, 5, 7, 8, 100, 1023, 1024, 999'999, 3'600'000'000);
    LatencyHistogram histogram;
    histogram.add(microseconds(us));
    const auto found = histogram.percentile_us(50);
    CHECK(found >= static_cast<std::uint64_t>(us));
    CHECK(found <= static_cast<std::uint64_t>(us + us / 4));
}

TEST_CASE("percentiles follow the distribution", "[counters]") {
    LatencyHistogram histogram;
    CHECK(histogram.percentile_us(99) == 0);
    for (int i = 0; i < 90; ++i)
        histogram.add(microseconds(2));
    LatencyHistogram slow;
    for (int i = 0; i < 10; ++i)
        slow.add(microseconds(1'000'000));
    histogram.merge(slow);
    CHECK(histogram.count() == 100);
    CHECK(histogram.percentile_us(50) == 2);
    CHECK(histogram.percentile_us(90) == 2);
    CHECK(histogram.percentile_us(91) >= 1'000'000);
    CHECK(histogram.percentile_us(100) >= 1'000'000);
}

TEST_CASE("a duration past the last bucket is counted there", "[counters]") {
    LatencyHistogram histogram;
    histogram.add(std::chrono::hours(1000));
    CHECK(histogram.count() == 1);
    CHECK(histogram.percentile_us(100) > 3'600'000'000);
}

TEST_CASE("values below a power of two are counted exactly, and their sum is kept", "[counters]") {
    LatencyHistogram histogram;
    for (const int us : {0, 3, 4, 15, 16, 17, 31, 32, 1'000'000})
        histogram.add(microseconds(us));
    CHECK(histogram.count_below_power_of_two(2) == 2);
    CHECK(histogram.count_below_power_of_two(4) == 4);
    CHECK(histogram.count_below_power_of_two(5) == 7);
    CHECK(histogram.count_below_power_of_two(19) == 8);
    CHECK(histogram.count_below_power_of_two(20) == 9);
    CHECK(histogram.total_us() == 1'000'118);
}

TEST_CASE("a job's counters are added to a total", "[counters]") {
    mfd::ChannelCounters total;
    for (int job = 0; job < 2; ++job) {
        Counters counters(1);
        counters.channel(0).normal_pages += 2;
        counters.channel(0).queue_wait_us += 5;
        counters.channel(0).latency.add(microseconds(7));
        total.merge(counters.channel(0));
    }
    CHECK(total.normal_pages == 4);
    CHECK(total.queue_wait_us == 10);
    CHECK(total.latency.count() == 2);
    CHECK(total.latency.total_us() == 14);
}

TEST_CASE("totals are the sums over the channels", "[counters]") {
    Counters counters(3);
    for (unsigned channel = 0; channel < 3; ++channel) {
        counters.channel(channel).normal_pages += channel + 1;
        counters.channel(channel).duplicate_pages += 10;
        counters.channel(channel).bytes += 4096;
    }
    CHECK(counters.normal_pages() == 6);
    CHECK(counters.duplicate_pages() == 30);
    CHECK(counters.bytes() == 12288);
}
