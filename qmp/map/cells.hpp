// The pages of a block, gathered into the cells of a grid. Pure.
#pragma once

#include "qmp/map/curve.hpp"
#include "qmp/map/page_kind.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace mfd::map {

struct Grid {
    std::uint32_t columns = 1;
    std::uint32_t rows = 1;
    std::uint64_t pages = 0;          // of the block
    std::uint64_t pages_per_cell = 1; // a power of two
    // Cells that stand for pages; those behind them, at the end of the order, stay empty.
    [[nodiscard]] std::uint64_t used() const {
        return (pages + pages_per_cell - 1) / pages_per_cell;
    }
    bool operator==(const Grid&) const = default;
};

// The smallest pages_per_cell for which the block fits into the room, and then no more cells than
// are needed, in the room's proportions. Sides are even, or 1. The room has a cell at least.
Grid plan_grid(std::uint64_t pages, std::uint32_t most_columns, std::uint32_t most_rows);

// What a cell shows: the most interesting kind of its pages, and how many of them are of it, in
// quarters: 1 up to 25 %, 4 above 75 %. Of zero, which is all there is then, always 4. quarters 0:
// no page.
struct Cell {
    Kind kind = Kind::Zero;
    std::uint8_t quarters = 0;
    bool operator==(const Cell&) const = default;
};

class CellCounter {
public:
    explicit CellCounter(const Grid& grid) : grid_(grid), cells_(grid.used()) {}

    [[nodiscard]] const Grid& grid() const { return grid_; }
    void add(const KindRun& run);
    // Row by row.
    [[nodiscard]] std::vector<Cell> placed(Order order) const;

private:
    Grid grid_;
    std::vector<KindCounts> cells_;
};

} // namespace mfd::map
