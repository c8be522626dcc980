// Checksums of pages: computed while they are saved, compared while they are loaded.
#include "channels/checksum_table.hpp"
#include "channels/page_loader.hpp"
#include "channels/page_saver.hpp"
#include "proto/checksum.hpp"

#include "guest_memory.hpp"
#include "job_matrix.hpp"
#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstring>
#include <random>
#include <string>
#include <vector>

using mfd::kPageSize;
using mfd::PageBitmap;
using mfd::test::GuestMemory;
using mfd::test::TempFile;

namespace {

constexpr std::uint64_t kSlotsOffset = std::uint64_t{1} << 20;
constexpr std::uint64_t kTable = std::uint64_t{64} << 20;

mfd::ChecksumTable make_table(std::uint64_t pages) {
    auto table = mfd::ChecksumTable::make(pages);
    REQUIRE(table.has_value());
    return std::move(*table);
}

// Pages that are stored and whose entry is not their checksum.
std::uint64_t wrong_entries(GuestMemory& memory, const PageBitmap& present,
                            const mfd::ChecksumTable& table) {
    std::uint64_t wrong = 0;
    for (std::uint64_t page = 0; page < memory.pages(); ++page)
        if (present.test(page) &&
            table.entries()[page] !=
                static_cast<std::uint32_t>(mfd::checksum64({memory.page(page), kPageSize})))
            ++wrong;
    return wrong;
}

// A file with a block of these pages and their checksums, as a save makes it.
struct SavedMemory {
    explicit SavedMemory(std::uint64_t pages) : memory(pages), present(pages) {
        std::mt19937_64 random(pages);
        memory.fill_runs(20, random);
        auto table = make_table(pages);
        auto file = mfd::test::open_job_file(path, mfd::FileUse::Save, mfd::PageIo::Buffered);
        mfd::Counters counters(1);
        mfd::SaveOptions options;
        options.channels = 1;
        const auto saver = mfd::PageSaver::start(file, options, counters);
        REQUIRE(saver.has_value());
        const std::vector<mfd::SaveBlock> blocks{{"m0", memory.base(), memory.bytes(), kSlotsOffset,
                                                  &present, std::nullopt, nullptr,
                                                  table.entries()}};
        REQUIRE((*saver)->pass(blocks, {}).has_value());
        std::uint64_t written = 0;
        REQUIRE(table.write(file, kTable, present, written).has_value());
        REQUIRE(file.extend(kTable + (pages * 4 + 4095) / 4096 * 4096).has_value());
    }
    // "" if the load succeeds, else its error.
    std::string load(const mfd::test::JobWay& way) {
        GuestMemory fresh(memory.pages());
        const auto file = mfd::test::open_job_file(path, mfd::FileUse::Load, way.page_io);
        mfd::Counters counters(way.channels);
        mfd::LoadOptions options;
        options.channels = way.channels;
        options.engine = way.engine;
        options.transfer_bytes = 64 * kPageSize;
        auto loader = mfd::PageLoader::start(file, options, counters);
        REQUIRE(loader.has_value());
        const std::vector<mfd::LoadBlock> blocks{
            {"m0", fresh.base(), fresh.bytes(), kSlotsOffset, &present, {}, kTable}};
        const auto result = (*loader)->load(blocks, {});
        if (!result.has_value())
            return result.error().what;
        CHECK(std::memcmp(fresh.base(), memory.base(), memory.bytes()) == 0);
        return "";
    }
    [[nodiscard]] std::uint64_t some_page(std::mt19937_64& random, bool stored) const {
        for (;;)
            if (const std::uint64_t page = random() % memory.pages(); present.test(page) == stored)
                return page;
    }
    void damage(std::uint64_t at, std::mt19937_64& random) const {
        auto byte = path.read(at, 1);
        byte[0] ^= std::byte{1} << random() % 8;
        path.write(at, byte);
    }

    TempFile path;
    GuestMemory memory;
    PageBitmap present;
};

} // namespace

TEST_CASE("every page that is stored has its checksum, in the first pass and later ones",
          "[page_checksum]") {
    const auto way = mfd::test::any_way();
    const auto detection = GENERATE(mfd::ZeroPageDetection::None, mfd::ZeroPageDetection::Multifd);
    std::mt19937_64 random(3);
    GuestMemory memory(3001);
    const auto touched = memory.fill_runs(30, random);
    PageBitmap present(memory.pages());
    const auto table = make_table(memory.pages());
    const TempFile path;
    const auto file = mfd::test::open_job_file(path, mfd::FileUse::Save, way.page_io);
    mfd::Counters counters(way.channels);
    mfd::SaveOptions options;
    options.channels = way.channels;
    options.engine = way.engine;
    options.zero_page_detection = detection;
    options.transfer_bytes = 64 * kPageSize;
    const auto saver = mfd::PageSaver::start(file, options, counters);
    REQUIRE(saver.has_value());
    std::vector<mfd::SaveBlock> blocks{{"m0", memory.base(), memory.bytes(), kSlotsOffset, &present,
                                        touched, nullptr, table.entries()}};
    REQUIRE((*saver)->pass(blocks, {}).has_value());
    CHECK(present.count() > 500);
    CHECK(wrong_entries(memory, present, table) == 0);

    PageBitmap dirty(memory.pages());
    for (std::uint64_t page = 100; page < memory.pages(); page += 1 + random() % 50) {
        memory.fill_page(page, random);
        dirty.set(page);
    }
    blocks[0].dirty = &dirty;
    blocks[0].data.reset();
    REQUIRE((*saver)->pass(blocks, {}).has_value());
    CHECK(wrong_entries(memory, present, table) == 0);
}

TEST_CASE("only the parts of a table that tell of pages take room in the file", "[page_checksum]") {
    constexpr std::uint64_t kPages = 10 * 1024 + 1;
    const auto table = make_table(kPages);
    for (std::uint64_t page = 0; page < kPages; ++page)
        table.entries()[page] = static_cast<std::uint32_t>(page + 1);
    PageBitmap pages(kPages);
    for (const std::uint64_t page : {1023U, 1024U, 3000U, 3001U, 5 * 1024 - 1U, 10 * 1024U})
        pages.set(page);
    const TempFile path;
    auto file = mfd::test::open_job_file(path, mfd::FileUse::Save, mfd::PageIo::Buffered);
    std::uint64_t written = 0;
    REQUIRE(table.write(file, 8192, pages, written).has_value());
    CHECK(written == std::uint64_t{5 * 4096});
    for (const std::uint64_t unit : {0U, 1U, 2U, 4U, 10U}) {
        INFO("unit " << unit);
        const auto bytes = path.read(8192 + unit * 4096, 4096);
        CHECK(std::memcmp(bytes.data(), table.entries() + unit * 1024, 4096) == 0);
    }
    for (const std::uint64_t unit : {3U, 5U, 9U})
        CHECK(path.read(8192 + unit * 4096, 4096) == std::vector<std::byte>(4096));
}

TEST_CASE("pages that match their checksums are loaded, whatever free slots hold",
          "[page_checksum]") {
    const auto way = mfd::test::any_way();
    std::mt19937_64 random(5);
    SavedMemory saved(9001);
    for (int i = 0; i < 50; ++i) {
        const std::uint64_t page = saved.some_page(random, false);
        saved.path.write(kSlotsOffset + page * kPageSize + 17, std::vector<std::byte>(1, {}));
        saved.path.write(kTable + page * 4, std::vector<std::byte>(4, std::byte{7}));
    }
    CHECK(saved.load(way).empty());
}

TEST_CASE("a page or checksum with a flipped bit ends the load, and both places are named",
          "[page_checksum]") {
    const auto way = mfd::test::any_way();
    const auto in_table = GENERATE(false, true);
    std::mt19937_64 random(7);
    SavedMemory saved(9001);
    const std::uint64_t page = saved.some_page(random, true);
    saved.damage(in_table ? kTable + page * 4 + random() % 4
                          : kSlotsOffset + page * kPageSize + random() % kPageSize,
                 random);
    const std::string said = saved.load(way);
    INFO(said);
    CHECK(said.starts_with("block m0, page " + std::to_string(page) + ", at 0x"));
    CHECK(said.find(": its checksum is 0x") != std::string::npos);
}

TEST_CASE("a wrong page behind a gap that was read along is found", "[page_checksum]") {
    const auto way = mfd::test::any_way();
    std::mt19937_64 random(8);
    SavedMemory saved(9001);
    std::uint64_t page = 2;
    // Not at the beginning of a chunk, where a transfer begins.
    while (!saved.present.test(page) || saved.present.test(page - 1) ||
           !saved.present.test(page - 2) || page % 512 < 2)
        ++page;
    saved.damage(kSlotsOffset + page * kPageSize + random() % kPageSize, random);
    CHECK(saved.load(way).starts_with("block m0, page " + std::to_string(page) + ", at 0x"));
}

TEST_CASE("a table that the file does not have to its end is an error", "[page_checksum]") {
    SavedMemory saved(3000);
    REQUIRE(::truncate(saved.path.path().c_str(), kTable + 4096) == 0);
    CHECK(saved.load({}).starts_with("read checksums of block m0: "));
}
