#include "daemon/convergence.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cmath>
#include <vector>

using mfd::AutoConverge;
using mfd::Convergence;
using mfd::LookInterval;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

// A pass over data pages; what remains is a single run.
LookInterval pass(std::chrono::duration<double> time, std::uint64_t stored,
                  std::uint64_t remaining) {
    return {.time = time,
            .stored_bytes = stored,
            .transfers = stored / kMiB,
            .checked_bytes = stored,
            .dirtied_bytes = remaining,
            .remaining_bytes = remaining,
            .remaining_runs = 1};
}

LookInterval zero_pass(std::uint64_t checked, std::uint64_t remaining) {
    return {.time = 1s,
            .checked_bytes = checked,
            .dirtied_bytes = remaining,
            .remaining_bytes = remaining};
}

long milliseconds(std::chrono::duration<double> time) {
    return std::lround(time.count() * 1000);
}

} // namespace

TEST_CASE("the rest is expected to take its size at the measured bandwidth", "[convergence]") {
    Convergence save({});
    save.add(pass(2s, 1000 * kMiB, 100 * kMiB));
    CHECK(save.bandwidth() == 500.0 * kMiB);
    CHECK(milliseconds(save.expected_downtime(0)) == 202); // a transfer took 2 ms
    CHECK(save.dirty_pages_per_second() == 100 * 256 / 2);
}

TEST_CASE("a bandwidth given for the switchover replaces the measured one", "[convergence]") {
    Convergence save({});
    save.add(pass(2s, 1000 * kMiB, 100 * kMiB));
    CHECK(milliseconds(save.expected_downtime(50.0 * kMiB)) == 2000);
}

TEST_CASE("nothing left takes no time, however little was measured", "[convergence]") {
    Convergence save({});
    save.add(pass(0s, 0, 0));
    CHECK(milliseconds(save.expected_downtime(0)) == 0);
}

TEST_CASE("scattered pages are expected to take as long as their transfers", "[convergence]") {
    Convergence save({});
    auto dense = pass(1s, 1000 * kMiB, 40 * kMiB);
    dense.remaining_runs = 10000;
    save.add(dense);
    CHECK(save.expected_downtime(0) > 5s); // at worst, as far as is known yet
    auto scattered = pass(2s, 40 * kMiB, 20 * kMiB);
    scattered.transfers = 10000;
    scattered.remaining_runs = 5000;
    save.add(scattered);
    CHECK(milliseconds(save.expected_downtime(0)) == 1020);
}

TEST_CASE("a device that has become slower is expected to stay so", "[convergence]") {
    Convergence save({});
    save.add(pass(1s, 1000 * kMiB, 100 * kMiB));
    const auto before = save.expected_downtime(0);
    save.add(pass(2s, 500 * kMiB, 100 * kMiB));
    CHECK(save.expected_downtime(0) > before * 1.9);
    save.add(pass(1s, 1000 * kMiB, 100 * kMiB));
    CHECK(save.expected_downtime(0) == before);
}

TEST_CASE("a pass of a few transfers says nothing about the device", "[convergence]") {
    Convergence save({});
    save.add(pass(1s, 1000 * kMiB, 100 * kMiB));
    const auto before = save.expected_downtime(0);
    save.add(pass(1s, 2 * kMiB, 100 * kMiB));
    CHECK(save.expected_downtime(0) == before);
}

TEST_CASE("short passes are added up before they change the bandwidth", "[convergence]") {
    Convergence save({});
    save.add(pass(1s, 100 * kMiB, 10 * kMiB));
    save.add(pass(50ms, 1 * kMiB, 10 * kMiB));
    CHECK(save.bandwidth() == 100.0 * kMiB);
    save.add(pass(50ms, 1 * kMiB, 10 * kMiB));
    CHECK(std::lround(save.bandwidth()) == 20 * kMiB);
}

TEST_CASE("a pass that met only zero pages leaves the bandwidth as it was", "[convergence]") {
    Convergence save({});
    save.add(pass(1s, 100 * kMiB, 10 * kMiB));
    save.add(zero_pass(500 * kMiB, 10 * kMiB));
    CHECK(save.bandwidth() == 100.0 * kMiB);
}

TEST_CASE("where all pages were zero so far, looking at them is the measure", "[convergence]") {
    Convergence save({});
    save.add(zero_pass(1000 * kMiB, 10 * kMiB));
    CHECK(milliseconds(save.expected_downtime(0)) == 10);
}

TEST_CASE("a look without a pass counts dirty pages and leaves the bandwidth", "[convergence]") {
    Convergence save({});
    save.add(pass(1s, 100 * kMiB, 10 * kMiB));
    save.add({.time = 1s, .dirtied_bytes = 20 * kMiB, .remaining_bytes = 30 * kMiB});
    CHECK(save.bandwidth() == 100.0 * kMiB);
    CHECK(milliseconds(save.expected_downtime(0)) == 300);
    CHECK(save.dirty_pages_per_second() == 20 * 256);
}

TEST_CASE("a rest that shrinks slowly counts as progress", "[convergence]") {
    Convergence save({});
    double rest = 1e9;
    for (int look = 0; look < 100; ++look) {
        save.add(pass(1s, 100 * kMiB, static_cast<std::uint64_t>(rest)));
        CHECK(save.looks_without_progress() == 0);
        rest *= 0.97;
    }
}

TEST_CASE("a rest that stays the same is no progress from the third look on", "[convergence]") {
    Convergence save({});
    save.add(pass(1s, 100 * kMiB, 100 * kMiB));
    save.add(pass(1s, 100 * kMiB, 100 * kMiB));
    save.add(pass(1s, 100 * kMiB, 95 * kMiB));
    CHECK(save.looks_without_progress() == 0);
    save.add(pass(1s, 100 * kMiB, 105 * kMiB));
    CHECK(save.looks_without_progress() == 3);
    save.add(pass(1s, 100 * kMiB, 50 * kMiB));
    CHECK(save.looks_without_progress() == 0);
}

TEST_CASE("auto-converge throttles at every second period that dirties too much", "[convergence]") {
    Convergence save(AutoConverge{});
    std::vector<std::uint32_t> percent;
    for (int look = 0; look < 8; ++look) {
        save.add(pass(1100ms, 100 * kMiB, 60 * kMiB));
        percent.push_back(save.throttle_percent());
    }
    CHECK(percent == std::vector<std::uint32_t>{0, 20, 20, 30, 30, 40, 40, 50});
}

TEST_CASE("passes shorter than a second make up a period together", "[convergence]") {
    Convergence save(AutoConverge{});
    for (int look = 0; look < 9; ++look)
        save.add(pass(250ms, 100 * kMiB, 60 * kMiB));
    CHECK(save.throttle_percent() == 0);
    save.add(pass(250ms, 100 * kMiB, 60 * kMiB));
    CHECK(save.throttle_percent() == 20);
}

TEST_CASE("the throttle ends at max-cpu-throttle", "[convergence]") {
    AutoConverge settings;
    settings.max = 45;
    Convergence save(settings);
    for (int look = 0; look < 20; ++look)
        save.add(pass(1100ms, 100 * kMiB, 100 * kMiB));
    CHECK(save.throttle_percent() == 45);
}

TEST_CASE("a guest below the threshold is not throttled", "[convergence]") {
    Convergence save(AutoConverge{});
    for (int look = 0; look < 20; ++look)
        save.add(pass(1100ms, 100 * kMiB, 50 * kMiB));
    CHECK(save.throttle_percent() == 0);
}

TEST_CASE("without auto-converge nothing is throttled", "[convergence]") {
    Convergence save({});
    for (int look = 0; look < 20; ++look)
        save.add(pass(1100ms, 100 * kMiB, 200 * kMiB));
    CHECK(save.throttle_percent() == 0);
}

TEST_CASE("tailslow takes smaller steps the nearer the dirty rate is to the threshold",
          "[convergence]") {
    AutoConverge settings;
    settings.initial = 50;
    settings.tailslow = true;
    Convergence save(settings);
    for (int look = 0; look < 4; ++look) // 50 of 52 MiB are allowed: 48 % of the time would do
        save.add(pass(1100ms, 100 * kMiB, 52 * kMiB));
    CHECK(save.throttle_percent() == 51);
}
