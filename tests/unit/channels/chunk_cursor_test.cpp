#include "channels/chunk_cursor.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <thread>
#include <vector>

using mfd::ChunkCursor;

TEST_CASE("chunks cover every page of every block once, from several threads", "[chunk_cursor]") {
    const auto workers = GENERATE(1U, 3U, 255U);
    const std::vector<std::uint64_t> blocks{1, 511, 0, 512, 513, 300'001, 4096, 1};
    ChunkCursor cursor;
    cursor.reset(blocks, workers);
    std::vector<std::vector<ChunkCursor::Chunk>> taken(4);
    {
        std::vector<std::jthread> threads;
        for (auto& mine : taken)
            threads.emplace_back([&] {
                while (const auto chunk = cursor.next())
                    mine.push_back(*chunk);
            });
    }
    std::vector<std::vector<unsigned>> seen;
    for (const auto pages : blocks)
        seen.emplace_back(pages);
    for (const auto& mine : taken)
        for (const auto& chunk : mine) {
            REQUIRE(chunk.pages.count > 0);
            REQUIRE(chunk.pages.first % mfd::PageBitmap::kPagesPerCacheLine == 0);
            for (auto page = chunk.pages.first; page < chunk.pages.end(); ++page)
                ++seen.at(chunk.block).at(page);
        }
    for (const auto& block : seen)
        CHECK(std::ranges::all_of(block, [](unsigned count) { return count == 1; }));
    CHECK_FALSE(cursor.next().has_value());
}

TEST_CASE("chunks grow with the memory, within bounds", "[chunk_cursor]") {
    ChunkCursor cursor;
    cursor.reset(std::vector<std::uint64_t>{1000}, 8);
    CHECK(cursor.chunk_pages() == 512);
    cursor.reset(std::vector<std::uint64_t>{std::uint64_t{1} << 32}, 8);
    CHECK(cursor.chunk_pages() == 8192);
}

TEST_CASE("no blocks make no chunks", "[chunk_cursor]") {
    ChunkCursor cursor;
    cursor.reset({}, 2);
    CHECK_FALSE(cursor.next().has_value());
}

TEST_CASE("a block that does not fit its slots or bitmap is refused by name", "[chunk_cursor]") {
    CHECK(mfd::check_slots("m0", 8192, 4096, 2).has_value());
    const auto refused = mfd::check_slots("m0", 8192, 4096, 3);
    REQUIRE(refused.has_error());
    CHECK(refused.error().what == "block m0: its length, file offset and bitmap do not fit");
    CHECK(mfd::check_slots("m0", 8191, 4096, 2).has_error());
    CHECK(mfd::check_slots("m0", 8192, 4097, 2).has_error());
    CHECK(mfd::check_slots("m0", 8192, UINT64_MAX - 4095, 2).has_error());
    CHECK(mfd::check_slots("m0", 8192, INT64_MAX - 4095, 2).has_error());
}
