#include "daemon/guest/dirty_tracker.hpp"
#include "daemon/guest/workload.hpp"
#include "daemon/guest/workload_page.hpp"
#include "tracking_support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <sys/uio.h>

using mfd::MemoryBackend;
using mfd::PageBitmap;
using mfd::TrackingSource;
using mfd::test::backend;
using mfd::test::collect;
using mfd::test::kPage;
using mfd::test::tracker;
using mfd::test::write_byte;

namespace {

constexpr std::uint64_t kPages = 2048;

std::uint64_t read_all(const MemoryBackend& block) {
    return std::accumulate(
        block.memory().begin(), block.memory().end(), std::uint64_t{0},
        [](std::uint64_t sum, std::byte b) { return sum + static_cast<std::uint64_t>(b); });
}

void require_pagemap() {
    if (const auto support = mfd::probe_tracking(); !support.pagemap)
        SKIP(support.pagemap_lacks);
}

std::string every_sort(const mfd::test::ScratchDirectory& scratch) {
    const auto sort = GENERATE(as<std::string>(), "ram", "memfd", "shm", "shared ram",
                               "private memfd", "file", "private file");
    CAPTURE(sort);
    if (sort == "shared ram")
        return "memory-backend-ram,id=r,size=8M,share=on";
    if (sort == "private memfd")
        return "memory-backend-memfd,id=r,size=8M,share=off";
    if (sort == "file")
        return "memory-backend-file,id=r,size=8M,share=on,mem-path=" + scratch.file("shared");
    if (sort == "private file")
        return "memory-backend-file,id=r,size=8M,mem-path=" + scratch.file("private");
    return "memory-backend-" + sort + ",id=r,size=8M";
}

} // namespace

TEST_CASE("exactly the written pages are found, in every kind of memory", "[tracking]") {
    require_pagemap();
    const mfd::test::ScratchDirectory scratch;
    const auto option = every_sort(scratch);
    CAPTURE(option);
    const auto block = backend(option);
    // Half of the pages exist before, in runs and alone; the rest has never been touched.
    for (std::uint64_t page = 0; page < kPages; page += page % 512 < 256 ? 1 : 3)
        write_byte(*block, page);
    const auto track = tracker(*block);
    CHECK(track->source(*block) == TrackingSource::Pagemap);
    REQUIRE(track->start().has_value());
    CHECK(collect(*track, *block).empty());

    std::mt19937_64 random(7);
    for (int round = 0; round < 4; ++round) {
        std::vector<std::uint64_t> written;
        for (int i = 0; i < 200; ++i)
            written.push_back(random() % kPages);
        for (const std::uint64_t page : written)
            write_byte(*block, page, static_cast<std::uint8_t>(round + 2));
        std::sort(written.begin(), written.end());
        written.erase(std::unique(written.begin(), written.end()), written.end());
        CHECK(collect(*track, *block) == written);
        CHECK(collect(*track, *block).empty());
    }
    track->stop();
}

TEST_CASE("pages never touched before are found when they are first written", "[tracking]") {
    require_pagemap();
    const mfd::test::ScratchDirectory scratch;
    const auto option = every_sort(scratch);
    CAPTURE(option);
    const auto block = backend(option);
    const auto track = tracker(*block);
    REQUIRE(track->start().has_value());
    write_byte(*block, 0);
    write_byte(*block, 700);
    write_byte(*block, kPages - 1);
    CHECK(collect(*track, *block) == std::vector<std::uint64_t>{0, 700, kPages - 1});
    write_byte(*block, 701);
    write_byte(*block, 700);
    CHECK(collect(*track, *block) == std::vector<std::uint64_t>{700, 701});
}

TEST_CASE("reading makes no page dirty", "[tracking]") {
    require_pagemap();
    const mfd::test::ScratchDirectory scratch;
    const auto option = every_sort(scratch);
    CAPTURE(option);
    const auto block = backend(option);
    for (std::uint64_t page = 0; page < kPages; page += 7)
        write_byte(*block, page);
    const auto track = tracker(*block);
    REQUIRE(track->start().has_value());
    const auto sum = read_all(*block);
    CHECK(collect(*track, *block).empty());
    // Also a page that was read as zero is found when it is written.
    write_byte(*block, 3);
    CHECK(collect(*track, *block) == std::vector<std::uint64_t>{3});
    CHECK(read_all(*block) == sum + 0x11);
}

TEST_CASE("contents of a file that this process never looked at are not dirty", "[tracking]") {
    require_pagemap();
    const mfd::test::ScratchDirectory scratch;
    const auto path = scratch.make_file("mb", 64 * kPage);
    const mfd::UniqueFd writer(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const std::vector<std::byte> data(64 * kPage, std::byte{1});
    REQUIRE(::pwrite(writer.get(), data.data(), data.size(), 0) ==
            static_cast<ssize_t>(data.size()));
    const auto share = GENERATE(as<std::string>(), "on", "off");
    const auto block =
        backend("memory-backend-file,id=f,size=256k,share=" + share + ",mem-path=" + path);
    const auto track = tracker(*block);
    REQUIRE(track->start().has_value());
    CHECK(read_all(*block) == 64 * kPage);
    CHECK(collect(*track, *block).empty());
    write_byte(*block, 9);
    CHECK(collect(*track, *block) == std::vector<std::uint64_t>{9});
}

TEST_CASE("what the kernel writes for this process is found, too", "[tracking]") {
    require_pagemap();
    const mfd::test::ScratchDirectory scratch;
    const auto option = every_sort(scratch);
    CAPTURE(option);
    const auto block = backend(option);
    write_byte(*block, 5);
    const auto track = tracker(*block);
    REQUIRE(track->start().has_value());
    const mfd::UniqueFd zeros(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    REQUIRE(::read(zeros.get(), block->memory().data() + 5 * kPage, 2 * kPage) == 2 * kPage);
    CHECK(collect(*track, *block) == std::vector<std::uint64_t>{5, 6});
}

TEST_CASE("bits that are set stay set", "[tracking]") {
    require_pagemap();
    const auto block = backend("memory-backend-ram,id=r,size=1M");
    const auto track = tracker(*block);
    REQUIRE(track->start().has_value());
    PageBitmap dirty(256);
    dirty.set(200);
    write_byte(*block, 100);
    REQUIRE(track->collect(*block, dirty).has_value());
    CHECK(dirty.test(200));
    CHECK(dirty.test(100));
    CHECK(dirty.count() == 2);
}

TEST_CASE("a tracker starts anew after it was stopped, and leaves nothing behind", "[tracking]") {
    require_pagemap();
    const mfd::test::ScratchDirectory scratch;
    const auto option = every_sort(scratch);
    CAPTURE(option);
    const auto block = backend(option);
    write_byte(*block, 1);
    auto track = tracker(*block);
    track->stop();
    for (int round = 0; round < 3; ++round) {
        REQUIRE(track->start().has_value());
        CHECK(track->start().has_error());
        write_byte(*block, 2);
        CHECK(collect(*track, *block) == std::vector<std::uint64_t>{2});
        write_byte(*block, 3);
        track->stop();
        track->stop();
        PageBitmap dirty(kPages);
        CHECK(track->collect(*block, dirty).has_error());
    }
    track.reset();
    const auto second = tracker(*block);
    REQUIRE(second->start().has_value());
    CHECK(collect(*second, *block).empty());
}

TEST_CASE("memory that is tracked already is refused", "[tracking]") {
    require_pagemap();
    const auto block = backend("memory-backend-ram,id=r,size=1M");
    const auto first = tracker(*block);
    const auto second = tracker(*block);
    REQUIRE(first->start().has_value());
    const auto started = second->start();
    REQUIRE(started.has_error());
    CHECK(started.error().what ==
          "track writes to memory of block r: something else tracks this memory already");
    write_byte(*block, 4);
    CHECK(collect(*first, *block) == std::vector<std::uint64_t>{4});
}

TEST_CASE("several blocks of odd sizes are tracked side by side", "[tracking]") {
    require_pagemap();
    const auto a = backend("memory-backend-ram,id=a,size=12k");
    const auto b = backend("memory-backend-memfd,id=b,size=2101248");
    std::array<MemoryBackend*, 2> blocks{a.get(), b.get()};
    auto track = mfd::make_dirty_tracker(blocks);
    REQUIRE(track.has_value());
    REQUIRE((*track)->start().has_value());
    write_byte(*a, 2);
    write_byte(*b, 512);
    CHECK(collect(**track, *a) == std::vector<std::uint64_t>{2});
    CHECK(collect(**track, *b) == std::vector<std::uint64_t>{512});
    PageBitmap wrong(4);
    CHECK((*track)->collect(*a, wrong).has_error());
    const auto other = backend("memory-backend-ram,id=c,size=12k");
    PageBitmap right(3);
    CHECK((*track)->collect(*other, right).has_error());
}

TEST_CASE("what a running guest writes is in some look, and the last look is complete",
          "[tracking]") {
    require_pagemap();
    const auto sort = GENERATE(as<std::string>(), "ram", "memfd");
    const auto block = backend("memory-backend-" + sort + ",id=r,size=8M");
    mfd::WorkloadProperties properties;
    properties.id = "w";
    properties.pattern = mfd::WorkloadPattern::Mix;
    properties.threads = 2;
    auto guest = mfd::GuestWorkload::make(properties, *block);
    REQUIRE(guest.has_value());
    const auto track = tracker(*block);
    (*guest)->resume();
    REQUIRE(track->start().has_value());
    // A copy as a save makes it: everything once, then what is dirty, the last time with the guest
    // stopped. The copy goes through the kernel, as a save's does.
    std::vector<std::byte> copy(block->size());
    const mfd::UniqueFd store(::memfd_create("store", MFD_CLOEXEC));
    const auto save_page = [&](std::uint64_t page) {
        REQUIRE(::pwrite(store.get(), block->memory().data() + page * kPage, kPage,
                         static_cast<off_t>(page * kPage)) == kPage);
    };
    for (std::uint64_t page = 0; page < kPages; ++page)
        save_page(page);
    for (int pass = 0; pass < 5; ++pass) {
        const auto before = (*guest)->pages_written();
        while ((*guest)->pages_written() < before + 200)
            std::this_thread::yield();
        for (const std::uint64_t page : collect(*track, *block))
            save_page(page);
    }
    (*guest)->pause();
    for (const std::uint64_t page : collect(*track, *block))
        save_page(page);
    REQUIRE(::pread(store.get(), copy.data(), copy.size(), 0) == static_cast<ssize_t>(copy.size()));
    CHECK(std::memcmp(copy.data(), block->memory().data(), copy.size()) == 0);
    std::uint64_t damaged = 0;
    for (std::uint64_t page = 0; page < kPages; ++page)
        damaged += mfd::verify_page(std::span(copy).subspan(page * kPage, kPage), page).state ==
                           mfd::PageState::Damaged
                       ? 1
                       : 0;
    CHECK(damaged == 0);
}

TEST_CASE("huge pages are dirty as a whole", "[tracking]") {
    require_pagemap();
    auto made = mfd::test::try_backend("memory-backend-memfd,id=h,size=8M,hugetlb=on");
    if (!made.has_value())
        SKIP("no huge pages: " << made.error().what);
    MemoryBackend& block = **made;
    write_byte(block, 0);
    write_byte(block, 512);
    const auto track = tracker(block);
    REQUIRE(track->start().has_value());
    CHECK(collect(*track, block).empty());
    write_byte(block, 600);
    write_byte(block, 1536); // never touched before
    std::vector<std::uint64_t> expected(1024);
    std::iota(expected.begin(), expected.begin() + 512, 512);
    std::iota(expected.begin() + 512, expected.end(), 1536);
    CHECK(collect(*track, block) == expected);
    CHECK(collect(*track, block).empty());
}

TEST_CASE("transparent huge pages are dirty page by page", "[tracking]") {
    require_pagemap();
    const auto block = backend("memory-backend-ram,id=r,size=8M");
    std::memset(block->memory().data(), 1, block->size());
    const auto track = tracker(*block);
    REQUIRE(track->start().has_value());
    write_byte(*block, 77);
    write_byte(*block, 1500);
    CHECK(collect(*track, *block) == std::vector<std::uint64_t>{77, 1500});
}

TEST_CASE("memory of another process without a log is refused", "[tracking]") {
    const mfd::UniqueFd memfd(::memfd_create("passed", MFD_CLOEXEC));
    REQUIRE(::ftruncate(memfd.get(), 1048576) == 0);
    const auto block = backend("memory-backend-file,id=p,size=1M,share=on,mem-path=/dev/fdset/7",
                               mfd::test::opener_of(memfd.ref()));
    std::array<MemoryBackend*, 1> blocks{block.get()};
    const auto made = mfd::make_dirty_tracker(blocks);
    REQUIRE(made.has_error());
    CHECK(made.error().what.find("block p may be written by another process") != std::string::npos);
    CHECK(made.error().what.find("x-dirty-log") != std::string::npos);
}

TEST_CASE("read-only memory needs no tracking", "[tracking]") {
    const mfd::test::ScratchDirectory scratch;
    const auto rom = backend("memory-backend-file,id=r,size=4k,readonly=on,mem-path=" +
                             scratch.make_file("rom", 4096));
    const auto track = tracker(*rom);
    CHECK(track->source(*rom) == TrackingSource::None);
    REQUIRE(track->start().has_value());
    CHECK(collect(*track, *rom).empty());
}

TEST_CASE("without tracking nothing is ever dirty", "[tracking]") {
    const auto block = backend("memory-backend-ram,id=r,size=1M");
    const auto track = mfd::make_no_tracker();
    REQUIRE(track->start().has_value());
    write_byte(*block, 1);
    CHECK(collect(*track, *block).empty());
    CHECK(track->source(*block) == TrackingSource::None);
    CHECK(mfd::tracking_source_name(track->source(*block)) == "none");
}
