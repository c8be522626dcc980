#include "channels/page_loader.hpp"

#include "guest_memory.hpp"
#include "job_matrix.hpp"
#include "numa_folder.hpp"
#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstring>
#include <mutex>
#include <random>
#include <vector>

using mfd::kPageSize;
using mfd::LoadBlock;
using mfd::PageBitmap;
using mfd::PageRun;
using mfd::test::GuestMemory;
using mfd::test::TempFile;

namespace {

mfd::LoadOptions load_options(const mfd::test::JobWay& way) {
    mfd::LoadOptions options;
    options.channels = way.channels;
    options.engine = way.engine;
    options.transfer_bytes = 64 * kPageSize;
    return options;
}

// Slots of random bytes, with and without their bit set, and what must be in memory afterwards.
struct SavedBlock {
    SavedBlock(const TempFile& file, std::uint64_t pages, std::uint64_t offset,
               std::uint64_t longest, std::mt19937_64& random)
        : present(pages), slots(pages * kPageSize), pages_offset(offset) {
        for (auto& byte : slots)
            byte = static_cast<std::byte>(random());
        for (std::uint64_t page = 0; page < pages;) {
            const std::uint64_t count = std::min(1 + random() % longest, pages - page);
            if (random() % 2 == 0)
                present.set_range({page, count});
            page += count;
        }
        file.write(offset, slots);
    }
    [[nodiscard]] std::uint64_t wrong_pages(GuestMemory& memory) const {
        std::uint64_t wrong = 0;
        for (std::uint64_t page = 0; page < present.pages(); ++page) {
            const bool right =
                present.test(page)
                    ? std::memcmp(memory.page(page), &slots[page * kPageSize], kPageSize) == 0
                    : mfd::test::is_zero_naive(memory.page(page));
            wrong += right ? 0 : 1;
        }
        return wrong;
    }
    PageBitmap present;
    std::vector<std::byte> slots;
    std::uint64_t pages_offset;
};

} // namespace

TEST_CASE("set pages come from their slots and clear ones are zero, whatever was there",
          "[page_loader]") {
    const auto way = mfd::test::any_way();
    const auto pages = GENERATE(std::uint64_t{1}, 7, 513, 3001);
    const auto longest = GENERATE(std::uint64_t{1}, 40);
    std::mt19937_64 random(pages + longest);
    const TempFile path;
    const SavedBlock saved(path, pages, 5 * kPageSize, longest, random);
    GuestMemory memory(pages);
    memory.fill_runs(10, random);
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Load, way.page_io);
    mfd::Counters counters(way.channels);
    auto loader = mfd::PageLoader::start(file, load_options(way), counters);
    REQUIRE(loader.has_value());
    const std::vector<LoadBlock> blocks{
        {"m0", memory.base(), memory.bytes(), saved.pages_offset, &saved.present, {}}};
    REQUIRE((*loader)->load(blocks, {}).has_value());
    CHECK(saved.wrong_pages(memory) == 0);
    CHECK(counters.normal_pages() == saved.present.count());
    CHECK(counters.normal_pages() + counters.duplicate_pages() == pages);
}

TEST_CASE("workers on several nodes load the same", "[page_loader]") {
    const mfd::test::NumaFolder folder;
    mfd::test::describe_two_nodes(folder);
    std::mt19937_64 random(14);
    const TempFile path;
    const SavedBlock saved(path, 9001, kPageSize, 40, random);
    GuestMemory memory(9001);
    memory.fill_runs(10, random);
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Load, mfd::PageIo::Buffered);
    mfd::Counters counters(3);
    mfd::LoadOptions options;
    options.channels = 3;
    options.numa_folder = folder.path();
    auto loader = mfd::PageLoader::start(file, options, counters);
    REQUIRE(loader.has_value());
    const std::vector<LoadBlock> blocks{
        {"m0", memory.base(), memory.bytes(), saved.pages_offset, &saved.present, {}}};
    REQUIRE((*loader)->load(blocks, {}).has_value());
    CHECK(saved.wrong_pages(memory) == 0);
}

TEST_CASE("bridged gaps never allocate the clear pages of fresh memory", "[page_loader]") {
    const auto way = mfd::test::any_way();
    std::mt19937_64 random(4);
    const TempFile path;
    const SavedBlock saved(path, 2000, kPageSize, 3, random);
    GuestMemory memory(2000);
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Load, way.page_io);
    mfd::Counters counters(way.channels);
    auto loader = mfd::PageLoader::start(file, load_options(way), counters);
    REQUIRE(loader.has_value());
    // Fresh memory: there is nothing to make zero.
    const auto leave = [](PageRun) -> mfd::Result<void> { return {}; };
    const std::vector<LoadBlock> blocks{
        {"m0", memory.base(), memory.bytes(), saved.pages_offset, &saved.present, leave}};
    REQUIRE((*loader)->load(blocks, {}).has_value());
    CHECK(memory.allocated_pages() == saved.present.count());
    CHECK(saved.wrong_pages(memory) == 0);
}

TEST_CASE("a block's own way of zeroing gets every clear page once", "[page_loader]") {
    std::mt19937_64 random(6);
    const TempFile path;
    const SavedBlock saved(path, 5000, 0, 100, random);
    GuestMemory memory(5000);
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Load, mfd::PageIo::Buffered);
    mfd::Counters counters(3);
    mfd::LoadOptions options;
    options.channels = 3;
    auto loader = mfd::PageLoader::start(file, options, counters);
    REQUIRE(loader.has_value());
    std::mutex mutex;
    std::vector<unsigned> times(5000);
    const auto count = [&](PageRun run) -> mfd::Result<void> {
        const std::scoped_lock lock(mutex);
        for (std::uint64_t page = run.first; page < run.end(); ++page)
            ++times.at(page);
        return {};
    };
    const std::vector<LoadBlock> blocks{
        {"m0", memory.base(), memory.bytes(), saved.pages_offset, &saved.present, count}};
    REQUIRE((*loader)->load(blocks, {}).has_value());
    std::uint64_t wrong = 0;
    for (std::uint64_t page = 0; page < 5000; ++page)
        wrong += times[page] == (saved.present.test(page) ? 0 : 1) ? 0 : 1;
    CHECK(wrong == 0);
}

TEST_CASE("a failure to zero ends the load with its text", "[page_loader]") {
    const TempFile path;
    GuestMemory memory(600);
    const PageBitmap present(600);
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Load, mfd::PageIo::Buffered);
    mfd::Counters counters(2);
    auto loader = mfd::PageLoader::start(file, {}, counters);
    REQUIRE(loader.has_value());
    const auto fail = [](PageRun) -> mfd::Result<void> {
        return mfd::Error{mfd::Errc::Io, "punch a hole in m0: not today", 1};
    };
    const std::vector<LoadBlock> blocks{{"m0", memory.base(), memory.bytes(), 0, &present, fail}};
    const auto result = (*loader)->load(blocks, {});
    REQUIRE(result.has_error());
    CHECK(result.error().what == "punch a hole in m0: not today");
}

TEST_CASE("a file that is too short names block, page and offset", "[page_loader]") {
    const auto way = mfd::test::any_way();
    const TempFile path;
    path.write(0, std::vector<std::byte>(300 * kPageSize, std::byte{1}));
    GuestMemory memory(512);
    PageBitmap present(512);
    present.set_range({0, 512});
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Load, way.page_io);
    mfd::Counters counters(way.channels);
    auto loader = mfd::PageLoader::start(file, load_options(way), counters);
    REQUIRE(loader.has_value());
    const std::vector<LoadBlock> blocks{{"pc.ram", memory.base(), memory.bytes(), 0, &present, {}}};
    const auto result = (*loader)->load(blocks, {});
    REQUIRE(result.has_error());
    CHECK(result.error().what.starts_with("read pages of block pc.ram, page "));
    CHECK(result.error().what.ends_with(": end of file"));
}
