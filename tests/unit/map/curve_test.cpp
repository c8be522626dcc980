#include "qmp/map/curve.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <set>
#include <utility>

using mfd::map::Cell2d;
using mfd::map::cell_order;
using mfd::map::Order;

namespace {

// Steps to a cell that is no neighbour, and, apart from these, to one across a corner.
struct Steps {
    int jumps = 0;
    int diagonals = 0;
};

Steps steps_of(const std::vector<Cell2d>& order) {
    Steps steps;
    for (std::size_t i = 1; i < order.size(); ++i) {
        const auto dx = std::abs(std::int64_t{order[i].x} - order[i - 1].x);
        const auto dy = std::abs(std::int64_t{order[i].y} - order[i - 1].y);
        steps.jumps += dx > 1 || dy > 1 ? 1 : 0;
        steps.diagonals += dx == 1 && dy == 1 ? 1 : 0;
    }
    return steps;
}

std::size_t distinct_inside(const std::vector<Cell2d>& order, std::uint32_t columns,
                            std::uint32_t rows) {
    std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
    for (const Cell2d cell : order)
        if (cell.x < columns && cell.y < rows)
            seen.emplace(cell.x, cell.y);
    return seen.size();
}

} // namespace

TEST_CASE("each order visits every cell exactly once", "[curve]") {
    for (const Order order : {Order::Hilbert, Order::Rows})
        for (std::uint32_t columns = 1; columns <= 33; ++columns)
            for (std::uint32_t rows = 1; rows <= 33; ++rows) {
                const auto cells = cell_order(order, columns, rows);
                CAPTURE(columns, rows);
                REQUIRE(cells.size() == std::size_t{columns} * rows);
                REQUIRE(distinct_inside(cells, columns, rows) == cells.size());
            }
}

TEST_CASE("with even sides the curve only steps to neighbours", "[curve]") {
    for (std::uint32_t columns = 2; columns <= 64; columns += 2)
        for (std::uint32_t rows = 2; rows <= 64; rows += 2) {
            CAPTURE(columns, rows);
            const Steps steps = steps_of(cell_order(Order::Hilbert, columns, rows));
            REQUIRE(steps.jumps == 0);
            REQUIRE(steps.diagonals == 0);
        }
}

TEST_CASE("the curve never jumps, whatever the sides", "[curve]") {
    for (std::uint32_t columns = 1; columns <= 21; ++columns)
        for (std::uint32_t rows = 1; rows <= 21; ++rows) {
            CAPTURE(columns, rows);
            REQUIRE(steps_of(cell_order(Order::Hilbert, columns, rows)).jumps == 0);
        }
}

TEST_CASE("on a square with a power of two the curve is Hilbert's", "[curve]") {
    CHECK(cell_order(Order::Hilbert, 2, 2) == std::vector<Cell2d>{{0, 0}, {0, 1}, {1, 1}, {1, 0}});
    const auto cells = cell_order(Order::Hilbert, 4, 4);
    CHECK(cells.front() == Cell2d{0, 0});
    CHECK(cells.back() == Cell2d{3, 0});
    // Each quarter is left only when it is full.
    for (std::size_t quarter = 0; quarter < 4; ++quarter)
        for (std::size_t i = 1; i < 4; ++i) {
            CHECK(cells[quarter * 4 + i].x / 2 == cells[quarter * 4].x / 2);
            CHECK(cells[quarter * 4 + i].y / 2 == cells[quarter * 4].y / 2);
        }
}

TEST_CASE("rows go from the top left line by line", "[curve]") {
    CHECK(cell_order(Order::Rows, 2, 2) == std::vector<Cell2d>{{0, 0}, {1, 0}, {0, 1}, {1, 1}});
}
