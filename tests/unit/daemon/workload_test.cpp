#include "daemon/guest/page_chooser.hpp"
#include "daemon/guest/workload.hpp"
#include "daemon/guest/workload_page.hpp"
#include "guest_support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

using mfd::GuestWorkload;
using mfd::PageState;
using mfd::verify_page;
using mfd::WorkloadPage;
using mfd::WorkloadPattern;
using mfd::WorkloadProperties;
using mfd::test::backend;

namespace {

using Page = std::array<std::byte, 4096>;

std::unique_ptr<GuestWorkload> workload(const mfd::MemoryBackend& memory, WorkloadPattern pattern,
                                        std::uint32_t threads = 2, std::uint64_t rate = 0) {
    WorkloadProperties p;
    p.id = "w";
    p.memdev = memory.id();
    p.pattern = pattern;
    p.threads = threads;
    p.rate = rate;
    auto made = GuestWorkload::make(p, memory);
    REQUIRE(made.has_value());
    return std::move(*made);
}

void wait_for_pages(const GuestWorkload& guest, std::uint64_t pages) {
    while (guest.pages_written() < pages)
        std::this_thread::yield();
}

std::vector<std::byte> copy_of(const mfd::MemoryBackend& memory) {
    return {memory.memory().begin(), memory.memory().end()};
}

// How many pages are zero, whole and damaged.
std::array<std::uint64_t, 3> count_states(std::span<const std::byte> memory) {
    std::array<std::uint64_t, 3> counts{};
    for (std::uint64_t page = 0; page < memory.size() / 4096; ++page)
        ++counts.at(
            static_cast<std::size_t>(verify_page(memory.subspan(page * 4096, 4096), page).state));
    return counts;
}

} // namespace

TEST_CASE("a filled page tells its number, generation and seed", "[workload]") {
    Page page{};
    mfd::fill_page(page, {42, 7, 99});
    const auto verdict = verify_page(page, 42);
    CHECK(verdict.state == PageState::Whole);
    CHECK(verdict.content == WorkloadPage{42, 7, 99});
    CHECK(std::memcmp(page.data(), "MFDPAGE1", 8) == 0);
    mfd::zero_page(page);
    CHECK(verify_page(page, 42).state == PageState::Zero);
}

TEST_CASE("any changed bit makes a page damaged", "[workload]") {
    Page page{};
    mfd::fill_page(page, {1, 1, 1});
    std::uint64_t missed = 0;
    for (std::size_t bit = 0; bit < page.size() * 8; ++bit) {
        page[bit / 8] ^= std::byte{1} << (bit % 8);
        missed += verify_page(page, 1).state == PageState::Damaged ? 0 : 1;
        page[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    CHECK(missed == 0);
    CHECK(verify_page(page, 1).state == PageState::Whole);
}

TEST_CASE("a page in another place, torn or cut short is damaged", "[workload]") {
    Page old_page{};
    Page new_page{};
    mfd::fill_page(old_page, {3, 1, 1});
    mfd::fill_page(new_page, {3, 2, 1});
    CHECK(verify_page(old_page, 4).state == PageState::Damaged);
    CHECK(verify_page(std::span(old_page).first(4088), 3).state == PageState::Damaged);
    for (std::size_t cut = 512; cut < 4096; cut += 512) {
        Page torn = old_page;
        std::memcpy(torn.data(), new_page.data(), cut);
        CHECK(verify_page(torn, 3).state == PageState::Damaged);
    }
}

TEST_CASE("sequential writes walk the slice round and round", "[workload]") {
    mfd::PageChooser chooser(WorkloadPattern::Sequential, {10, 3}, 1);
    std::vector<std::uint64_t> pages;
    for (int i = 0; i < 7; ++i)
        pages.push_back(chooser.next().page);
    CHECK(pages == std::vector<std::uint64_t>{10, 11, 12, 10, 11, 12, 10});
}

TEST_CASE("every pattern stays in its slice and reaches all of it", "[workload]") {
    const auto pattern =
        GENERATE(WorkloadPattern::Sequential, WorkloadPattern::Random, WorkloadPattern::HotCold,
                 WorkloadPattern::Zeroing, WorkloadPattern::Mix);
    const std::uint64_t pages = GENERATE(as<std::uint64_t>(), 1, 2, 9, 50);
    mfd::PageChooser chooser(pattern, {100, pages}, 5);
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 20'000; ++i)
        seen.insert(chooser.next().page);
    CHECK(seen.size() == pages);
    CHECK(*seen.begin() == 100);
    CHECK(*seen.rbegin() == 100 + pages - 1);
}

TEST_CASE("nine of ten hot-cold writes go to a tenth of the pages", "[workload]") {
    mfd::PageChooser chooser(WorkloadPattern::HotCold, {0, 1000}, 5);
    int hot = 0;
    for (int i = 0; i < 10'000; ++i)
        hot += chooser.next().page < 100 ? 1 : 0;
    CHECK(hot > 8'800);
    CHECK(hot < 9'200);
}

TEST_CASE("the same seed chooses the same pages, another seed others", "[workload]") {
    mfd::PageChooser a(WorkloadPattern::Mix, {0, 100000}, 5);
    mfd::PageChooser b(WorkloadPattern::Mix, {0, 100000}, 5);
    mfd::PageChooser c(WorkloadPattern::Mix, {0, 100000}, 6);
    int same = 0;
    int other = 0;
    for (int i = 0; i < 1000; ++i) {
        const auto page = a.next().page;
        same += page == b.next().page ? 1 : 0;
        other += page == c.next().page ? 0 : 1;
    }
    CHECK(same == 1000);
    CHECK(other > 500);
}

TEST_CASE("a new guest writes nothing until it is resumed", "[workload]") {
    const auto memory = backend("memory-backend-ram,id=r,size=1M");
    const auto guest = workload(*memory, WorkloadPattern::Sequential);
    CHECK(guest->paused());
    guest->pause();
    CHECK(guest->pages_written() == 0);
    CHECK(memory->data_extents()->empty());
}

TEST_CASE("after a pause every page is whole or zero and nothing changes", "[workload]") {
    const auto pattern =
        GENERATE(WorkloadPattern::Sequential, WorkloadPattern::Random, WorkloadPattern::HotCold,
                 WorkloadPattern::Zeroing, WorkloadPattern::Mix);
    const auto memory = backend("memory-backend-memfd,id=r,size=1M");
    const auto guest = workload(*memory, pattern, 3);
    for (std::uint64_t round = 1; round <= 20; ++round) {
        const auto before = guest->pages_written();
        guest->resume();
        wait_for_pages(*guest, before + 500);
        guest->pause();
        const auto written = guest->pages_written();
        const auto image = copy_of(*memory);
        const auto [zero, whole, damaged] = count_states(image);
        CHECK(damaged == 0);
        CHECK(whole > 0);
        CHECK(zero + whole == 256);
        CHECK(copy_of(*memory) == image);
        CHECK(guest->pages_written() == written);
    }
    CHECK(guest->last_pause().count() > 0);
}

TEST_CASE("the zeroing pattern leaves pages of both kinds", "[workload]") {
    const auto memory = backend("memory-backend-ram,id=r,size=1M");
    const auto guest = workload(*memory, WorkloadPattern::Zeroing);
    guest->resume();
    wait_for_pages(*guest, 5000);
    guest->pause();
    const auto [zero, whole, damaged] = count_states(memory->memory());
    CHECK(zero > 20);
    CHECK(whole > 20);
    CHECK(damaged == 0);
}

TEST_CASE("later contents of a page have higher generations", "[workload]") {
    const auto memory = backend("memory-backend-ram,id=r,size=64k");
    const auto guest = workload(*memory, WorkloadPattern::Sequential, 1);
    guest->resume();
    wait_for_pages(*guest, 100);
    guest->pause();
    const auto first = verify_page(memory->memory().first(4096), 0).content;
    guest->resume();
    wait_for_pages(*guest, guest->pages_written() + 100);
    guest->pause();
    const auto second = verify_page(memory->memory().first(4096), 0).content;
    CHECK(second.generation > first.generation);
}

TEST_CASE("pausing twice, resuming twice and ending while it runs do no harm", "[workload]") {
    const auto memory = backend("memory-backend-ram,id=r,size=1M");
    const auto guest = workload(*memory, WorkloadPattern::Random, 4);
    guest->pause();
    guest->pause();
    guest->resume();
    guest->resume();
    wait_for_pages(*guest, 1000);
    CHECK_FALSE(guest->paused());
}

TEST_CASE("a guest that waits for its time is paused and ended at once", "[workload]") {
    const auto memory = backend("memory-backend-ram,id=r,size=1M");
    // One page in about an hour and a quarter: the threads write one page each and wait for the
    // next.
    const auto guest = workload(*memory, WorkloadPattern::Sequential, 2, 2);
    guest->resume();
    wait_for_pages(*guest, 2);
    guest->pause();
    CHECK(guest->pages_written() == 2);
}

TEST_CASE("a throttled guest with a rate keeps writing whole pages", "[workload]") {
    const auto memory = backend("memory-backend-ram,id=r,size=1M");
    const auto guest = workload(*memory, WorkloadPattern::Random, 2, 1 << 30);
    guest->set_throttle(200);
    CHECK(guest->throttle() == 99);
    guest->set_throttle(50);
    guest->resume();
    wait_for_pages(*guest, 300);
    guest->pause();
    CHECK(count_states(memory->memory())[2] == 0);
}

TEST_CASE("read-only memory cannot have a guest", "[workload]") {
    const mfd::test::ScratchDirectory scratch;
    const auto rom = backend("memory-backend-file,id=r,size=4k,readonly=on,mem-path=" +
                             scratch.make_file("rom", 4096));
    WorkloadProperties p;
    p.id = "w";
    const auto made = GuestWorkload::make(p, *rom);
    REQUIRE(made.has_error());
    CHECK(made.error().what == "start emulated guest 'w' on memory 'r': the memory is read-only");
}
