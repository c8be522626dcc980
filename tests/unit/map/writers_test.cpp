#include "qmp/map/markup.hpp"
#include "qmp/map/writers.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <random>

using mfd::map::Box;
using mfd::map::CellArea;
using mfd::map::escape_markup;
using mfd::map::Ink;
using mfd::map::join_cells;

namespace {

CellArea random_area(std::uint32_t columns, std::uint32_t rows, unsigned inks) {
    std::minstd_rand random(columns * 100 + rows);
    CellArea area{0, 0, 4, columns, rows, {}};
    for (std::uint32_t i = 0; i < columns * rows; ++i)
        area.inks.push_back(static_cast<Ink>(random() % inks));
    return area;
}

mfd::map::Picture small_picture(const std::string& name) {
    const std::vector<mfd::map::BlockSize> blocks{{name, 300'000}, {"b", 32}, {"c", 1}};
    const auto plan = mfd::map::plan_panels(blocks, 640);
    mfd::map::Facts facts{name, "other", mfd::map::Order::Hilbert, {}};
    std::vector<mfd::map::CellCounter> cells;
    for (const auto& panel : plan.panels) {
        cells.emplace_back(panel.grid);
        cells.back().add({mfd::map::Kind::Stored, {0, panel.grid.pages}});
        facts.blocks.emplace_back().add(mfd::map::Kind::Stored, panel.grid.pages);
    }
    return mfd::map::draw_picture(plan, facts, cells);
}

} // namespace

TEST_CASE("joined boxes cover each cell once, in its colour", "[writers]") {
    for (const std::uint32_t columns : {1U, 2U, 17U, 40U})
        for (const unsigned inks : {1U, 2U, 5U}) {
            const CellArea area = random_area(columns, 23, inks);
            std::vector<Ink> painted(area.inks.size(), mfd::map::kPaper);
            std::size_t cells = 0;
            for (const Box& box : join_cells(area))
                for (std::uint32_t y = box.y; y < box.y + box.height; ++y)
                    for (std::uint32_t x = box.x; x < box.x + box.width; ++x, ++cells)
                        painted[std::size_t{y} * columns + x] = box.ink;
            CHECK(painted == area.inks);
            CHECK(cells == static_cast<std::size_t>(std::ranges::count_if(
                               area.inks, [](Ink ink) { return ink != mfd::map::kPaper; })));
        }
}

TEST_CASE("an area of one colour is one box", "[writers]") {
    const CellArea area{0, 0, 4, 30, 20, std::vector<Ink>(600, mfd::map::kZeroInk)};
    CHECK(join_cells(area) == std::vector<Box>{{0, 0, 30, 20, mfd::map::kZeroInk}});
}

TEST_CASE("markup in a name is text in a picture", "[writers]") {
    CHECK(escape_markup("a<b>&\"c'") == "a&lt;b&gt;&amp;&quot;c&#39;");
    CHECK(escape_markup("\x01\x7f\xc3") == "???");
    const std::string svg = mfd::map::write_svg(small_picture("</text><script>&"));
    CHECK(svg.find("<script") == std::string::npos);
    CHECK(svg.find("&lt;/text&gt;&lt;script&gt;&amp;") != std::string::npos);
}

TEST_CASE("panels lie inside the picture and not on each other", "[picture]") {
    std::vector<mfd::map::BlockSize> blocks;
    for (const std::uint64_t pages :
         {1ULL, 1ULL << 21, 4096ULL, 32ULL, 1ULL << 20, 1ULL, 7ULL, 300'000ULL, 64ULL, 1ULL << 30})
        blocks.push_back({"block", pages});
    for (const std::uint32_t width : {480U, 1024U, 2500U, 8192U}) {
        const auto plan = mfd::map::plan_panels(blocks, width);
        std::vector<Box> seen;
        for (const auto& panel : plan.panels) {
            const std::uint32_t heading = 36 * plan.scale;
            const Box box{panel.x, panel.y - heading, panel.grid.columns * panel.cell,
                          panel.grid.rows * panel.cell + heading, 0};
            CAPTURE(width, box.x, box.y, box.width, box.height);
            CHECK(box.width <= panel.width);
            CHECK(box.x + box.width <= plan.width);
            CHECK(box.y + box.height <= plan.height);
            for (const Box& other : seen)
                CHECK((other.x + other.width <= box.x || box.x + box.width <= other.x ||
                       other.y + other.height <= box.y || box.y + box.height <= other.y));
            seen.push_back(box);
        }
    }
}

TEST_CASE("a PNG has its size in its header and few bytes", "[writers]") {
    const auto picture = small_picture("a");
    const auto png = mfd::map::write_png(picture);
    REQUIRE(png.has_value());
    CHECK(png->starts_with("\x89PNG\r\n\x1a\n"));
    CHECK(static_cast<unsigned char>((*png)[18]) == 640 / 256);
    CHECK(static_cast<unsigned char>((*png)[19]) == 640 % 256);
    CHECK(png->size() < 20'000);
}

TEST_CASE("pictures are not wider than a limit, nor too narrow for their legend", "[picture]") {
    const std::vector<mfd::map::BlockSize> blocks{{"a", 10}};
    CHECK(mfd::map::plan_panels(blocks, 1).width == mfd::map::kLeastWidth);
    CHECK(mfd::map::plan_panels(blocks, UINT32_MAX).width == mfd::map::kMostWidth);
    CHECK(mfd::map::plan_panels({}, 1024).panels.empty());
}
