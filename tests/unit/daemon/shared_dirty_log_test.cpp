#include "tracking_support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include <sys/mman.h>

using mfd::PageBitmap;
using mfd::TrackingSource;
using mfd::test::backend;
using mfd::test::collect;
using mfd::test::tracker;

TEST_CASE("a dirty log is taken and cleared word by word", "[tracking]") {
    const mfd::UniqueFd log(::memfd_create("log", MFD_CLOEXEC));
    REQUIRE(::ftruncate(log.get(), 4096) == 0);
    const auto set_byte = [&log](off_t at, std::uint8_t value) {
        REQUIRE(::pwrite(log.get(), &value, 1, at) == 1);
    };
    const auto block = backend("memory-backend-ram,id=r,size=520k,x-dirty-log=/dev/fdset/7",
                               mfd::test::opener_of(log.ref()));
    const auto track = tracker(*block);
    CHECK(track->source(*block) == TrackingSource::SharedLog);
    set_byte(3, 0xff); // before the start: the first pass sees the page anyway
    REQUIRE(track->start().has_value());
    CHECK(collect(*track, *block).empty());
    set_byte(0, 0x81);
    set_byte(8, 0x02);
    set_byte(16, 0xff); // pages 128 and 129 exist, the other bits mean nothing
    CHECK(collect(*track, *block) == std::vector<std::uint64_t>{0, 7, 65, 128, 129});
    CHECK(collect(*track, *block).empty());
    std::array<std::uint8_t, 24> left{};
    REQUIRE(::pread(log.get(), left.data(), left.size(), 0) == 24);
    CHECK(left == std::array<std::uint8_t, 24>{});

    PageBitmap dirty(130); // of pages that an earlier look found and nobody has saved yet
    dirty.set(2);
    set_byte(0, 0x81);
    REQUIRE(track->collect(*block, dirty).value() == 2);
    CHECK(dirty.count() == 3);
}

TEST_CASE("no bit of a log is lost while its writer goes on", "[tracking]") {
    const mfd::UniqueFd log(::memfd_create("log", MFD_CLOEXEC));
    REQUIRE(::ftruncate(log.get(), 4096) == 0);
    void* const area = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, log.get(), 0);
    REQUIRE(area != MAP_FAILED);
    auto* const bytes = static_cast<std::uint8_t*>(area);
    const auto block = backend("memory-backend-ram,id=r,size=1M,x-dirty-log=/dev/fdset/7",
                               mfd::test::opener_of(log.ref()));
    const auto track = tracker(*block);
    REQUIRE(track->start().has_value());
    std::atomic<std::uint64_t> sum{0};
    std::atomic<bool> done{false};
    std::jthread writer([&] {
        std::mt19937_64 random(3);
        std::vector<bool> logged(256);
        for (int i = 0; i < 20'000; ++i) {
            const std::uint64_t page = random() % 256;
            std::atomic_ref<std::uint8_t>(bytes[page / 8])
                .fetch_or(static_cast<std::uint8_t>(1U << (page % 8)), std::memory_order_release);
            logged[page] = true;
        }
        sum = static_cast<std::uint64_t>(std::count(logged.begin(), logged.end(), true));
        done = true;
    });
    PageBitmap dirty(256);
    while (!done)
        REQUIRE(track->collect(*block, dirty).has_value());
    REQUIRE(track->collect(*block, dirty).has_value());
    CHECK(dirty.count() == sum);
    ::munmap(area, 4096);
}

TEST_CASE("a log that was cut short is refused, not read past its end", "[tracking]") {
    const mfd::UniqueFd log(::memfd_create("log", MFD_CLOEXEC));
    REQUIRE(::ftruncate(log.get(), 4096) == 0);
    const auto block = backend("memory-backend-ram,id=r,size=1M,x-dirty-log=/dev/fdset/7",
                               mfd::test::opener_of(log.ref()));
    const auto track = tracker(*block);
    REQUIRE(track->start().has_value());
    REQUIRE(::ftruncate(log.get(), 0) == 0);
    PageBitmap dirty(256);
    const auto count = track->collect(*block, dirty);
    REQUIRE(count.has_error());
    CHECK(count.error().what ==
          "read dirty log of block r: its owner has made it too short for the block");
}
