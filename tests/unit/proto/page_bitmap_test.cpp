#include "proto/page_bitmap.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <random>
#include <vector>

using mfd::PageBitmap;
using mfd::PageRun;

namespace {

// What PageBitmap does, a bit at a time.
std::vector<PageRun> naive_runs(const std::vector<bool>& bits, bool value) {
    std::vector<PageRun> runs;
    for (std::uint64_t page = 0; page < bits.size(); ++page) {
        if (bits[page] != value)
            continue;
        if (!runs.empty() && runs.back().end() == page)
            ++runs.back().count;
        else
            runs.push_back({page, 1});
    }
    return runs;
}

} // namespace

TEST_CASE("a bitmap finds the runs that a bit-by-bit walk finds", "[page_bitmap]") {
    const auto pages = GENERATE(std::uint64_t{1}, 63, 64, 65, 511, 512, 513, 4099);
    const auto density = GENERATE(1U, 50U, 99U);
    std::mt19937_64 random(pages * 100 + density);
    PageBitmap bitmap(pages);
    std::vector<bool> bits(pages);
    for (std::uint64_t page = 0; page < pages; ++page)
        if (random() % 100 < density) {
            bitmap.set(page);
            bits[page] = true;
        }
    std::vector<PageRun> set;
    for (auto run = bitmap.next_set_run(0, pages); run;
         run = bitmap.next_set_run(run->end(), pages))
        set.push_back(*run);
    std::vector<PageRun> clear;
    for (auto run = bitmap.next_clear_run(0, pages); run;
         run = bitmap.next_clear_run(run->end(), pages))
        clear.push_back(*run);
    CHECK(set == naive_runs(bits, true));
    CHECK(clear == naive_runs(bits, false));
    CHECK(bitmap.count_runs() == set.size());
    CHECK_FALSE(bitmap.has_stray_bits());
}

TEST_CASE("ranges set and clear exactly their pages", "[page_bitmap]") {
    PageBitmap bitmap(1000);
    bitmap.set_range({60, 500});
    CHECK(bitmap.count() == 500);
    CHECK_FALSE(bitmap.test(59));
    CHECK(bitmap.test(60));
    CHECK(bitmap.test(559));
    CHECK_FALSE(bitmap.test(560));
    bitmap.clear_range({100, 64});
    CHECK(bitmap.count() == 436);
    CHECK(bitmap.count_range({90, 20}) == 10);
    CHECK(bitmap.next_set_run(100, 1000) == PageRun{164, 396});
}

TEST_CASE("a search ends at its upper bound", "[page_bitmap]") {
    PageBitmap bitmap(256);
    bitmap.set_range({100, 100});
    CHECK(bitmap.next_set_run(0, 100) == std::nullopt);
    CHECK(bitmap.next_set_run(0, 150) == PageRun{100, 50});
    CHECK(bitmap.next_set_run(0, 195) == PageRun{100, 95}); // its end is in the bound's word
    CHECK(bitmap.next_clear_run(120, 200) == std::nullopt);
    CHECK(bitmap.next_clear_run(0, 99) == PageRun{0, 99});
}

TEST_CASE("bits past the last page are stray", "[page_bitmap]") {
    PageBitmap bitmap(65);
    CHECK(bitmap.bytes().size() == 16);
    bitmap.mutable_bytes()[8] = std::byte{1};
    CHECK_FALSE(bitmap.has_stray_bits());
    bitmap.mutable_bytes()[8] = std::byte{2};
    CHECK(bitmap.has_stray_bits());
}

TEST_CASE("a bitmap begins with a cache line, is all clear, and stays so when moved",
          "[page_bitmap]") {
    const auto pages = GENERATE(std::uint64_t{0}, 1, 513, std::uint64_t{1} << 26);
    PageBitmap made(pages);
    const PageBitmap bitmap(std::move(made));
    CHECK(reinterpret_cast<std::uintptr_t>(bitmap.bytes().data()) % 64 == 0);
    CHECK(bitmap.bytes().size() == mfd::bitmap_bytes(pages));
    CHECK(bitmap.count() == 0);
}
