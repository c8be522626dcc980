#include "qmp/map/cells.hpp"
#include "qmp/map/palette.hpp"
#include "qmp/map/picture.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>

using mfd::map::Cell;
using mfd::map::CellCounter;
using mfd::map::Grid;
using mfd::map::Kind;
using mfd::map::Order;
using mfd::map::plan_grid;

TEST_CASE("a grid holds all pages, in cells as small as the room allows", "[cells]") {
    for (const std::uint64_t pages :
         {1ULL, 2ULL, 3ULL, 5ULL, 32ULL, 255ULL, 256ULL, 257ULL, 1500ULL, 57'601ULL, 1ULL << 32})
        for (const std::uint32_t columns : {1U, 2U, 7U, 80U, 240U})
            for (const std::uint32_t rows : {1U, 2U, 9U, 240U}) {
                CAPTURE(pages, columns, rows);
                const Grid grid = plan_grid(pages, columns, rows);
                REQUIRE(grid.columns <= columns);
                REQUIRE(grid.rows <= rows);
                REQUIRE(std::uint64_t{grid.columns} * grid.rows >= grid.used());
                REQUIRE(grid.used() * grid.pages_per_cell >= pages);
                REQUIRE((grid.columns == 1 || grid.columns % 2 == 0));
                REQUIRE((grid.rows == 1 || grid.rows % 2 == 0));
                const std::uint64_t room = std::uint64_t{columns} * rows;
                REQUIRE((grid.pages_per_cell == 1 || pages > room / 4 * (grid.pages_per_cell / 2)));
            }
}

TEST_CASE("a grid leaves few cells empty", "[cells]") {
    CHECK(plan_grid(32, 100, 100) == Grid{8, 4, 32, 1});
    CHECK(plan_grid(4096, 100, 100) == Grid{64, 64, 4096, 1});
    CHECK(plan_grid(1, 100, 100) == Grid{1, 1, 1, 1});
    CHECK(plan_grid(1 << 20, 100, 100) == Grid{92, 90, 1 << 20, 128});
}

TEST_CASE("a cell shows its most interesting kind and how much there is of it", "[cells]") {
    CellCounter cells(Grid{4, 2, 29, 4});
    cells.add({Kind::Zero, {0, 6}});
    cells.add({Kind::Stored, {6, 14}}); // cells 1 (half), 2, 3, 4
    cells.add({Kind::Stale, {20, 1}});
    cells.add({Kind::Stored, {21, 6}});
    cells.add({Kind::Differs, {27, 2}}); // one of cell 6, all there is of cell 7
    const auto placed = cells.placed(Order::Rows);
    CHECK(placed == std::vector<Cell>{{Kind::Zero, 4},
                                      {Kind::Stored, 2},
                                      {Kind::Stored, 4},
                                      {Kind::Stored, 4},
                                      {Kind::Stored, 4},
                                      {Kind::Stale, 1},
                                      {Kind::Differs, 1},
                                      {Kind::Differs, 4}});
}

TEST_CASE("a large cell with a single page that differs says so", "[cells]") {
    CellCounter cells(Grid{2, 1, 2 << 20, 1 << 20});
    cells.add({Kind::Stored, {0, 77}});
    cells.add({Kind::Differs, {77, 1}});
    cells.add({Kind::Stored, {78, (1 << 20) - 78}});
    CHECK(cells.placed(Order::Hilbert) == std::vector<Cell>{{Kind::Differs, 1}, {Kind::Zero, 0}});
}

TEST_CASE("every kind and share has an ink of its own", "[palette]") {
    std::set<int> inks{mfd::map::ink_of({Kind::Zero, 0}), mfd::map::ink_of({Kind::Zero, 4})};
    for (const Kind kind : {Kind::Stored, Kind::Stale, Kind::Differs})
        for (std::uint8_t quarters = 1; quarters <= 4; ++quarters)
            inks.insert(mfd::map::ink_of({kind, quarters}));
    CHECK(inks.size() == 14);
    CHECK(*inks.rbegin() == mfd::map::kInks - 1);
    CHECK(mfd::map::css_colour(mfd::map::palette(
              mfd::map::Theme::Paper)[mfd::map::ink_of({Kind::Stored, 4})]) == "#004488");
}

TEST_CASE("no share but all is 100 percent, and none but nothing is 0", "[picture]") {
    CHECK(mfd::map::percent_text(0, 7) == "0 %");
    CHECK(mfd::map::percent_text(0, 0) == "0 %");
    CHECK(mfd::map::percent_text(1, 1'000'000) == "<0.1 %");
    CHECK(mfd::map::percent_text(1, 8) == "12.5 %");
    CHECK(mfd::map::percent_text(999'999, 1'000'000) == "99.9 %");
    CHECK(mfd::map::percent_text(7, 7) == "100 %");
}
