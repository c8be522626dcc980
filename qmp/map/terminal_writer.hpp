// A picture of memory in the characters of a terminal. Pure.
#pragma once

#include "qmp/map/picture.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mfd::map {

enum class Paint : std::uint8_t {
    Colours, // two cells in a character, one above the other; 256 colours
    Glyphs,  // a cell in a character, without colours
    Ascii,   // the same, where there is no Unicode
};

struct TerminalSize {
    std::uint32_t columns = 80;
    std::uint32_t lines = 24;
};

// A block's place: large ones get a heading and lines below it, small ones a line with a strip.
struct TerminalPanel {
    BlockSize block;
    bool large = false;
    bool shown = false; // not if there are more than find room
    std::uint32_t lines = 1;
    Grid grid;
};

struct TerminalPlan {
    TerminalSize size;
    Paint paint = Paint::Colours;
    std::vector<TerminalPanel> panels; // of the blocks, in their order
};

// For all but the last line, which is the prompt's.
TerminalPlan plan_terminal(std::span<const BlockSize> blocks, TerminalSize size, Paint paint);

// `cells` are of the panels. No line is wider than the terminal.
std::string write_terminal(const TerminalPlan& plan, const Facts& facts,
                           std::span<const CellCounter> cells);

} // namespace mfd::map
