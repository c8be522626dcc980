// A picture as the bytes of a file. Pure.
#pragma once

#include "proto/error.hpp"
#include "qmp/map/picture.hpp"

#include <string>
#include <vector>

namespace mfd::map {

std::string write_svg(const Picture& picture);
// One byte a pixel in memory. Errors: libpng's, with its text.
Result<std::string> write_png(const Picture& picture);

// Boxes, in cells, that cover each cell of the area once: runs of a row joined, and with those
// below that are alike. Without kPaper.
std::vector<Box> join_cells(const CellArea& area);

} // namespace mfd::map
