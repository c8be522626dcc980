#include "qmp/map/cells.hpp"

#include <algorithm>
#include <cmath>

namespace mfd::map {

namespace {

// Even sides keep the curve free of diagonal steps.
std::uint32_t rounded_down(std::uint32_t side) {
    return side <= 1 ? 1 : side - side % 2;
}
std::uint64_t rounded_up(std::uint64_t side) {
    return side <= 1 ? 1 : side + side % 2;
}

Cell shown(const KindCounts& counts) {
    const std::uint64_t total = counts.total();
    if (total == 0)
        return {};
    for (const Kind kind : {Kind::Differs, Kind::Stale, Kind::Stored})
        if (counts[kind] != 0)
            return {kind, static_cast<std::uint8_t>((4 * counts[kind] + total - 1) / total)};
    return {Kind::Zero, 4};
}

} // namespace

Grid plan_grid(std::uint64_t pages, std::uint32_t most_columns, std::uint32_t most_rows) {
    const std::uint32_t columns = rounded_down(most_columns);
    const std::uint32_t rows = rounded_down(most_rows);
    Grid grid;
    grid.pages = pages;
    while (grid.used() > std::uint64_t{columns} * rows)
        grid.pages_per_cell *= 2;
    const auto used = static_cast<double>(std::max<std::uint64_t>(grid.used(), 1));
    const auto ideal = static_cast<std::uint64_t>(std::ceil(std::sqrt(used * columns / rows)));
    const std::uint64_t least = (grid.used() + rows - 1) / rows; // or it would be too high
    const std::uint64_t best =
        std::min<std::uint64_t>(columns, rounded_up(std::max({ideal, least, std::uint64_t{1}})));
    const auto area_of = [&](std::uint64_t wide) {
        const std::uint64_t high =
            rounded_up(std::max<std::uint64_t>((grid.used() + wide - 1) / wide, 1));
        return wide * std::min<std::uint64_t>(rows, high);
    };
    // Other proportions are better where many cells would stay empty: 32 cells are 8 by 4, not 6 by
    // 6.
    std::uint64_t chosen = best;
    if ((area_of(best) - grid.used()) * 32 > grid.used())
        for (std::uint64_t wide = std::min<std::uint64_t>(columns, rounded_up(best + best / 2));
             wide >= std::max(rounded_up(least), best - best / 4) && wide > 1; wide -= 2)
            if (area_of(wide) < area_of(chosen))
                chosen = wide;
    grid.columns = static_cast<std::uint32_t>(chosen);
    grid.rows = static_cast<std::uint32_t>(area_of(chosen) / chosen);
    return grid;
}

void CellCounter::add(const KindRun& run) {
    for (std::uint64_t at = run.pages.first; at < run.pages.end();) {
        const std::uint64_t cell = at / grid_.pages_per_cell;
        const std::uint64_t end = std::min(run.pages.end(), (cell + 1) * grid_.pages_per_cell);
        cells_[cell].add(run.kind, end - at);
        at = end;
    }
}

std::vector<Cell> CellCounter::placed(Order order) const {
    std::vector<Cell> out(std::size_t{grid_.columns} * grid_.rows);
    const auto places = cell_order(order, grid_.columns, grid_.rows);
    for (std::size_t i = 0; i < cells_.size(); ++i)
        out[std::size_t{places[i].y} * grid_.columns + places[i].x] = shown(cells_[i]);
    return out;
}

} // namespace mfd::map
