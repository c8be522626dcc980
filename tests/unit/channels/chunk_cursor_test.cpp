#include "channels/chunk_cursor.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

using mfd::ChunkCursor;

namespace {

const std::vector<std::uint64_t> kBlocks{1, 511, 0, 512, 513, 300'001, 4096, 1};

// Takes all chunks of kBlocks from so many threads, of the nodes by turns.
void check_all_handed_out_once(ChunkCursor& cursor, std::size_t threads, std::size_t nodes) {
    std::vector<std::vector<ChunkCursor::Chunk>> taken(threads);
    {
        std::vector<std::jthread> running;
        for (std::size_t index = 0; index < threads; ++index)
            running.emplace_back([&cursor, &mine = taken[index], node = index % nodes] {
                while (const auto chunk = cursor.next(node))
                    mine.push_back(*chunk);
            });
    }
    std::vector<std::vector<unsigned>> seen;
    for (const auto pages : kBlocks)
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

} // namespace

TEST_CASE("chunks cover every page of every block once, from several threads", "[chunk_cursor]") {
    const auto workers = GENERATE(1U, 3U, 255U);
    ChunkCursor cursor;
    cursor.reset(kBlocks, workers);
    check_all_handed_out_once(cursor, 4, 1);
}

TEST_CASE("chunks on nodes cover every page once, whatever threads there are", "[chunk_cursor]") {
    const auto threads = GENERATE(std::size_t{1}, 2, 5);
    const auto nodes = GENERATE(std::size_t{1}, 2, 3, 8);
    std::mt19937_64 random(threads * nodes);
    ChunkCursor cursor;
    cursor.reset(kBlocks, 4);
    std::vector<std::size_t> node_of_chunk(cursor.chunks());
    for (auto& node : node_of_chunk)
        node = random() % 4 == 0 ? ChunkCursor::kNoNode : random() % nodes;
    cursor.place(node_of_chunk, nodes);
    check_all_handed_out_once(cursor, threads, nodes);
}

TEST_CASE("a worker gets its own node's chunks, then those of no node, then the others'",
          "[chunk_cursor]") {
    constexpr auto no_node = ChunkCursor::kNoNode;
    ChunkCursor cursor;
    cursor.reset(std::vector<std::uint64_t>{8 * 512}, 1);
    REQUIRE(cursor.chunks() == 8);
    cursor.place(std::vector<std::size_t>{0, no_node, 1, 2, 1, 0, no_node, 2}, 3);
    std::vector<std::uint64_t> numbers;
    while (const auto chunk = cursor.next(1))
        numbers.push_back(chunk->pages.first / 512);
    CHECK(numbers == std::vector<std::uint64_t>{2, 4, 1, 6, 3, 7, 0, 5});
}

TEST_CASE("starting over forgets the nodes", "[chunk_cursor]") {
    ChunkCursor cursor;
    cursor.reset(std::vector<std::uint64_t>{2 * 512}, 1);
    cursor.place(std::vector<std::size_t>{0, 1}, 2);
    cursor.reset(std::vector<std::uint64_t>{2 * 512}, 1);
    CHECK(cursor.next(1)->pages.first == 0);
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
