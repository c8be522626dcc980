// A picture of memory as boxes, texts and grids of cells, which SVG and PNG both draw. Pure.
#pragma once

#include "qmp/map/cells.hpp"
#include "qmp/map/palette.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mfd::map {

// A block and the place it gets in a picture.
struct Panel {
    std::string name;    // fit to be shown
    std::uint32_t x = 0; // of the cells; the heading stands above them
    std::uint32_t y = 0;
    std::uint32_t width = 0; // pixels that it may take
    std::uint32_t cell = 1;  // pixels of a side
    Grid grid;
};

// Panels are laid out before the pages are looked at, so that these need not be kept.
struct PanelPlan {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::uint32_t scale = 1;   // of texts
    std::vector<Panel> panels; // of the blocks, in their order
};

struct BlockSize {
    std::string name;
    std::uint64_t pages = 0;
};

inline constexpr std::uint32_t kLeastWidth = 560; // narrower legends would be cut
inline constexpr std::uint32_t kMostWidth = 8192; // chosen: 64 MiB of PNG in memory

// A picture `width` pixels wide, within these limits.
PanelPlan plan_panels(std::span<const BlockSize> blocks, std::uint32_t width);

struct Facts {
    std::string file;    // fit to be shown
    std::string against; // or empty
    Order order = Order::Hilbert;
    std::vector<KindCounts> blocks;
    [[nodiscard]] KindCounts totals() const;
};

struct Box {
    std::uint32_t x = 0;
    std::uint32_t y = 0;
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    Ink ink = kPaper;
    bool operator==(const Box&) const = default;
};
enum class Weight : std::uint8_t { Regular, Bold };
struct Text {
    std::uint32_t x = 0; // left
    std::uint32_t y = 0; // top of a line of kTextHeight
    std::string text;
    Ink ink = kText;
    Weight weight = Weight::Regular;
};
inline constexpr std::uint32_t kTextWidth = 8; // of a character, times Picture::scale
inline constexpr std::uint32_t kTextHeight = 13;

struct CellArea {
    std::uint32_t x = 0;
    std::uint32_t y = 0;
    std::uint32_t cell = 1;
    std::uint32_t columns = 0;
    std::uint32_t rows = 0;
    std::vector<Ink> inks; // row by row
};

struct Picture {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::uint32_t scale = 1;
    std::vector<Box> boxes;
    std::vector<CellArea> areas;
    std::vector<Text> texts;
};

// `cells` are of the panels.
Picture draw_picture(const PanelPlan& plan, const Facts& facts, std::span<const CellCounter> cells);

// "12.3 %": of nothing 0 %, and nothing is 100 % or 0 % that is not.
std::string percent_text(std::uint64_t part, std::uint64_t whole);
// "stored", with what it means for the reader.
const char* kind_meaning(Kind kind);

} // namespace mfd::map
