#include "channels/page_saver.hpp"

#include "guest_memory.hpp"
#include "job_matrix.hpp"
#include "numa_folder.hpp"
#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <sys/stat.h>

using mfd::kPageSize;
using mfd::PageBitmap;
using mfd::PageRun;
using mfd::SaveBlock;
using mfd::ZeroPageDetection;
using mfd::test::GuestMemory;
using mfd::test::TempFile;

namespace {

constexpr std::uint64_t kPagesOffset = std::uint64_t{1} << 20;

mfd::SaveOptions save_options(const mfd::test::JobWay& way) {
    mfd::SaveOptions options;
    options.channels = way.channels;
    options.engine = way.engine;
    options.transfer_bytes = 64 * kPageSize; // small, so that small memories need many
    return options;
}

// Pages whose bit or slot is not what a page-by-page look at the memory asks for.
std::uint64_t wrong_pages(GuestMemory& memory, const PageBitmap& present, const TempFile& file,
                          std::uint64_t pages_offset, ZeroPageDetection detection) {
    const auto fd = file.open(O_RDONLY);
    std::vector<std::byte> slot(kPageSize);
    std::uint64_t wrong = 0;
    for (std::uint64_t page = 0; page < memory.pages(); ++page) {
        const bool stored =
            detection == ZeroPageDetection::None || !mfd::test::is_zero_naive(memory.page(page));
        if (present.test(page) != stored)
            ++wrong;
        if (!stored)
            continue;
        if (!mfd::read_all_at(fd.ref(), slot, pages_offset + page * kPageSize).has_value() ||
            std::memcmp(slot.data(), memory.page(page), kPageSize) != 0)
            ++wrong;
    }
    return wrong;
}

} // namespace

TEST_CASE("a saved file is the one a page-by-page writer makes", "[page_saver]") {
    const auto way = mfd::test::any_way();
    const auto pages = GENERATE(std::uint64_t{1}, 7, 511, 513, 3001);
    const auto longest = GENERATE(std::uint64_t{1}, 40);
    const auto detection = GENERATE(ZeroPageDetection::None, ZeroPageDetection::Multifd);
    std::mt19937_64 random(pages * longest);
    GuestMemory memory(pages);
    memory.fill_runs(longest, random);
    PageBitmap present(pages);
    const TempFile path;
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Save, way.page_io);
    mfd::Counters counters(way.channels);
    auto options = save_options(way);
    options.zero_page_detection = detection;
    auto saver = mfd::PageSaver::start(file, options, counters);
    REQUIRE(saver.has_value());
    const std::vector<SaveBlock> blocks{
        {"m0", memory.base(), memory.bytes(), kPagesOffset, &present}};
    REQUIRE((*saver)->pass(blocks, {}).has_value());
    CHECK(wrong_pages(memory, present, path, kPagesOffset, detection) == 0);
    CHECK(counters.normal_pages() == present.count());
    CHECK(counters.normal_pages() + counters.duplicate_pages() == pages);
    CHECK(file.size_bytes().value() <= kPagesOffset + memory.bytes());
}

TEST_CASE("workers on several nodes save the same, in the first pass and later ones",
          "[page_saver]") {
    const mfd::test::NumaFolder folder;
    mfd::test::describe_two_nodes(folder);
    std::mt19937_64 random(13);
    GuestMemory memory(9001);
    const auto data = memory.fill_runs(40, random);
    PageBitmap present(memory.pages());
    PageBitmap dirty(memory.pages());
    const TempFile path;
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Save, mfd::PageIo::Buffered);
    mfd::Counters counters(3);
    mfd::SaveOptions options;
    options.channels = 3;
    options.numa_folder = folder.path();
    auto saver = mfd::PageSaver::start(file, options, counters);
    REQUIRE(saver.has_value());
    std::vector<SaveBlock> blocks{
        {"m0", memory.base(), memory.bytes(), kPagesOffset, &present, data}};
    REQUIRE((*saver)->pass(blocks, {}).has_value());
    CHECK(wrong_pages(memory, present, path, kPagesOffset, ZeroPageDetection::Multifd) == 0);
    memory.fill({5000, 700}, random);
    dirty.set_range({5000, 700});
    blocks[0].dirty = &dirty;
    blocks[0].data.reset();
    REQUIRE((*saver)->pass(blocks, {}).has_value());
    CHECK(wrong_pages(memory, present, path, kPagesOffset, ZeroPageDetection::Multifd) == 0);
}

TEST_CASE("holes are neither touched nor stored, but known to be zero", "[page_saver]") {
    const auto way = mfd::test::any_way();
    const auto detection = GENERATE(ZeroPageDetection::None, ZeroPageDetection::Legacy);
    std::mt19937_64 random(11);
    GuestMemory memory(3001);
    const auto data = memory.fill_runs(30, random);
    const std::uint64_t allocated = memory.allocated_pages();
    PageBitmap present(memory.pages());
    present.set_range({0, memory.pages()}); // as if everything had been stored in an earlier pass
    const TempFile path;
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Save, way.page_io);
    mfd::Counters counters(way.channels);
    auto options = save_options(way);
    options.zero_page_detection = detection;
    auto saver = mfd::PageSaver::start(file, options, counters);
    REQUIRE(saver.has_value());
    const std::vector<SaveBlock> blocks{
        {"m0", memory.base(), memory.bytes(), kPagesOffset, &present, data}};
    REQUIRE((*saver)->pass(blocks, {}).has_value());
    CHECK(memory.allocated_pages() == allocated);
    CHECK(wrong_pages(memory, present, path, kPagesOffset, detection) == 0);
}

TEST_CASE("later passes write what is dirty and clear the bits of pages that became zero",
          "[page_saver]") {
    const auto way = mfd::test::any_way();
    std::mt19937_64 random(12);
    std::vector<std::unique_ptr<GuestMemory>> memories;
    std::vector<std::unique_ptr<PageBitmap>> present;
    std::vector<std::unique_ptr<PageBitmap>> dirty;
    std::vector<SaveBlock> blocks;
    std::uint64_t offset = kPagesOffset;
    for (const std::uint64_t pages : {2500U, 1U, 700U}) {
        memories.push_back(std::make_unique<GuestMemory>(pages));
        present.push_back(std::make_unique<PageBitmap>(pages));
        dirty.push_back(std::make_unique<PageBitmap>(pages));
        memories.back()->fill_runs(20, random);
        blocks.push_back({"m" + std::to_string(blocks.size()), memories.back()->base(),
                          memories.back()->bytes(), offset, present.back().get()});
        offset += memories.back()->bytes() + 3 * kPageSize;
    }
    const TempFile path;
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Save, way.page_io);
    mfd::Counters counters(way.channels);
    auto saver = mfd::PageSaver::start(file, save_options(way), counters);
    REQUIRE(saver.has_value());
    REQUIRE((*saver)->pass(blocks, {}).has_value());
    for (unsigned pass = 0; pass < 3; ++pass) {
        const std::uint64_t before = counters.normal_pages() + counters.duplicate_pages();
        std::uint64_t dirtied = 0;
        for (std::size_t block = 0; block < blocks.size(); ++block) {
            dirty[block]->clear_range({0, dirty[block]->pages()});
            for (std::uint64_t page = 0; page < memories[block]->pages(); ++page) {
                // Scattered pages, and a stretch that takes several transfers.
                const auto fate = random() % (page / 200 == pass + 1 ? 2 : 10);
                if (fate > 1)
                    continue;
                if (fate == 0)
                    memories[block]->clear({page, 1});
                else
                    memories[block]->fill_page(page, random);
                dirty[block]->set(page);
                ++dirtied;
            }
            blocks[block].dirty = dirty[block].get();
        }
        REQUIRE((*saver)->pass(blocks, {}).has_value());
        CHECK(counters.normal_pages() + counters.duplicate_pages() - before == dirtied);
        for (std::size_t block = 0; block < blocks.size(); ++block)
            CHECK(wrong_pages(*memories[block], *present[block], path, blocks[block].pages_offset,
                              ZeroPageDetection::Multifd) == 0);
    }
}

namespace {

constexpr unsigned kAnyTime = 1000000; // percent

// A memory of data pages, saved once, of which all but every hundredth page have become zero since.
struct Emptied {
    explicit Emptied(const mfd::test::JobWay& way)
        : file(mfd::test::open_job_file(path, mfd::FileUse::Save, way.page_io)),
          counters(way.channels) {
        memory.fill({0, kPages}, random);
    }
    void save_twice(const mfd::SaveOptions& options) {
        saver = mfd::PageSaver::start(file, options, counters).value();
        std::vector<SaveBlock> blocks{
            {"m0", memory.base(), memory.bytes(), kPagesOffset, &present}};
        REQUIRE(saver->pass(blocks, {}).has_value());
        blocks_before = blocks_of_file();
        for (std::uint64_t page = 0; page < kPages; ++page)
            if (page % kStep != 0)
                memory.clear({page, 1});
        dirty.set_range({0, kPages});
        blocks[0].dirty = &dirty;
        REQUIRE(saver->pass(blocks, {}).has_value());
    }
    [[nodiscard]] std::uint64_t blocks_of_file() const {
        struct stat info {};
        REQUIRE(::fstat(file.buffered_fd().get(), &info) == 0);
        return static_cast<std::uint64_t>(info.st_blocks);
    }
    [[nodiscard]] std::uint64_t wrong() {
        return wrong_pages(memory, present, path, kPagesOffset, ZeroPageDetection::Multifd);
    }

    static constexpr std::uint64_t kPages = 3000;
    // Few runs: a file system may take milliseconds for each.
    static constexpr std::uint64_t kStep = 100;
    std::mt19937_64 random{13};
    GuestMemory memory{kPages};
    PageBitmap present{kPages};
    PageBitmap dirty{kPages};
    const TempFile path;
    const mfd::MigrationFile file;
    mfd::Counters counters;
    std::unique_ptr<mfd::PageSaver> saver; // last: it uses the rest
    std::uint64_t blocks_before = 0;
};

} // namespace

TEST_CASE("slots of pages that became zero are given back, and the file keeps its length",
          "[page_saver]") {
    const auto way = mfd::test::any_way();
    Emptied emptied(way);
    auto options = save_options(way);
    options.punch_percent = kAnyTime;
    emptied.save_twice(options);
    CHECK(emptied.wrong() == 0);
    CHECK(emptied.saver->punch_refusal() == 0);
    CHECK(emptied.blocks_of_file() * 5 < emptied.blocks_before);
    CHECK(emptied.file.size_bytes().value() == kPagesOffset + emptied.memory.bytes());
}

TEST_CASE("holes are punched in whole runs, and only where a page was stored before",
          "[page_saver]") {
    const auto way = mfd::test::any_way();
    Emptied emptied(way);
    std::atomic<std::uint64_t> punched_bytes = 0;
    std::atomic<std::uint64_t> punches = 0;
    auto options = save_options(way);
    options.punch_percent = kAnyTime;
    options.punch_hole = [&](mfd::FdRef, std::uint64_t, std::uint64_t bytes) {
        punched_bytes += bytes;
        ++punches;
        return 0;
    };
    emptied.save_twice(options);
    CHECK(punches <=
          Emptied::kPages / Emptied::kStep + 6); // a run that chunks divide is punched in two parts
    CHECK(punched_bytes == Emptied::kPages / Emptied::kStep * (Emptied::kStep - 1) * kPageSize);
}

TEST_CASE("a file system that cannot punch is asked once by each worker at most, and nothing fails",
          "[page_saver]") {
    const auto way = mfd::test::any_way();
    Emptied emptied(way);
    std::atomic<unsigned> asked = 0;
    auto options = save_options(way);
    options.punch_hole = [&](mfd::FdRef, std::uint64_t, std::uint64_t) {
        ++asked;
        return EOPNOTSUPP;
    };
    emptied.save_twice(options);
    CHECK(emptied.wrong() == 0);
    CHECK(emptied.saver->punch_refusal() == EOPNOTSUPP);
    CHECK(asked >= 1);
    CHECK(asked <= way.channels);
}

TEST_CASE("where there is no time, the longest run is punched and the rest is not",
          "[page_saver]") {
    const auto way = mfd::test::any_way();
    Emptied emptied(way);
    std::atomic<unsigned> punches = 0;
    auto options = save_options(way);
    options.punch_percent = 0;
    options.punch_hole = [&](mfd::FdRef, std::uint64_t, std::uint64_t bytes) {
        punches += bytes == (Emptied::kStep - 1) * kPageSize ? 1 : 1000;
        return 0;
    };
    emptied.save_twice(options);
    CHECK(emptied.wrong() == 0);
    CHECK(punches >= 1);
    CHECK(punches <= way.channels);
}

TEST_CASE("without punching the slots keep their blocks", "[page_saver]") {
    const auto way = mfd::test::any_way();
    Emptied emptied(way);
    auto options = save_options(way);
    options.punch_hole = {};
    emptied.save_twice(options);
    CHECK(emptied.wrong() == 0);
    CHECK(emptied.blocks_of_file() >= emptied.blocks_before);
}

TEST_CASE("a pass over nothing dirty writes nothing", "[page_saver]") {
    GuestMemory memory(1000);
    std::mt19937_64 random(3);
    memory.fill({0, 1000}, random);
    PageBitmap present(1000);
    const PageBitmap dirty(1000);
    const TempFile path;
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Save, mfd::PageIo::Buffered);
    mfd::Counters counters(2);
    auto saver = mfd::PageSaver::start(file, {}, counters);
    REQUIRE(saver.has_value());
    const std::vector<SaveBlock> blocks{
        {"m0", memory.base(), memory.bytes(), kPagesOffset, &present, std::nullopt, &dirty}};
    REQUIRE((*saver)->pass(blocks, {}).has_value());
    CHECK(counters.bytes() == 0);
    CHECK(file.size_bytes().value() == 0);
}

TEST_CASE("workers are named as QEMU's are", "[page_saver]") {
    const TempFile path;
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Save, mfd::PageIo::Buffered);
    mfd::Counters counters(2);
    auto saver = mfd::PageSaver::start(file, {}, counters);
    REQUIRE(saver.has_value());
    CHECK((*saver)->threads().at(0).name == "mig/src/send_0");
    CHECK((*saver)->threads().at(1).name == "mig/src/send_1");
}

TEST_CASE("a block whose bitmap has another length is refused", "[page_saver]") {
    GuestMemory memory(10);
    PageBitmap present(11);
    const TempFile path;
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Save, mfd::PageIo::Buffered);
    mfd::Counters counters(2);
    auto saver = mfd::PageSaver::start(file, {}, counters);
    REQUIRE(saver.has_value());
    const std::vector<SaveBlock> blocks{
        {"m0", memory.base(), memory.bytes(), kPagesOffset, &present}};
    CHECK((*saver)->pass(blocks, {}).has_error());
}
