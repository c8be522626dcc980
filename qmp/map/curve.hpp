// In which order the cells of a grid are filled with what lies one behind the other in memory.
// Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace mfd::map {

enum class Order : std::uint8_t { Hilbert, Rows };

struct Cell2d {
    std::uint32_t x = 0;
    std::uint32_t y = 0;
    bool operator==(const Cell2d&) const = default;
};

// All cells of a grid, each once. Order::Rows: line by line from the top left. Order::Hilbert: a
// generalized Hilbert curve (after J. Cerveny's "gilbert") from the top left to another corner, on
// which neighbours in the order are neighbours in the grid where both sides are even or one is 1;
// elsewhere it may take a diagonal step. viewer.html walks the same curve.
std::vector<Cell2d> cell_order(Order order, std::uint32_t columns, std::uint32_t rows);

} // namespace mfd::map
