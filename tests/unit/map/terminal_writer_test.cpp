#include "qmp/map/terminal_writer.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <sstream>

using mfd::map::BlockSize;
using mfd::map::Kind;
using mfd::map::Paint;
using mfd::map::TerminalSize;

namespace {

std::string drawn(const std::vector<BlockSize>& blocks, TerminalSize size, Paint paint) {
    const auto plan = mfd::map::plan_terminal(blocks, size, paint);
    mfd::map::Facts facts{"file.mig", "other.mig", mfd::map::Order::Hilbert, {}};
    std::vector<mfd::map::CellCounter> cells;
    for (const auto& panel : plan.panels) {
        const std::uint64_t pages = panel.block.pages;
        cells.emplace_back(panel.grid);
        cells.back().add({Kind::Stored, {0, pages / 2}});
        cells.back().add({Kind::Zero, {pages / 2, pages - pages / 2}});
        facts.blocks.emplace_back().add(Kind::Stored, pages);
    }
    return mfd::map::write_terminal(plan, facts, cells);
}

// Characters, without escape sequences.
std::size_t columns_of(const std::string& line) {
    std::size_t columns = 0;
    bool escaped = false;
    for (const char c : line) {
        escaped = escaped || c == '\x1b';
        if (!escaped && (static_cast<unsigned char>(c) & 0xc0U) != 0x80)
            ++columns;
        escaped = escaped && c != 'm';
    }
    return columns;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

const std::vector<BlockSize> kGuest{{"pc.ram", 1 << 20},
                                    {"vga.vram", 4096},
                                    {"pc.bios", 64},
                                    {"a.name.that.is.longer.than.its.room", 32}};

} // namespace

TEST_CASE("a picture leaves the terminal its last line and no line is too long", "[terminal]") {
    std::vector<BlockSize> many(40, {"some.block", 64});
    many.push_back({"pc.ram", 1 << 18});
    const std::vector<BlockSize> nodes(5, {"node", 1 << 16});
    for (const auto& blocks : {kGuest, many, nodes})
        for (const Paint paint : {Paint::Colours, Paint::Glyphs, Paint::Ascii})
            for (const TerminalSize size :
                 {TerminalSize{80, 24}, TerminalSize{200, 50}, TerminalSize{40, 16}}) {
                const auto lines = lines_of(drawn(blocks, size, paint));
                CAPTURE(size.columns, size.lines, blocks.size());
                CHECK(lines.size() < size.lines);
                CHECK(std::ranges::all_of(lines, [&](const std::string& line) {
                    return columns_of(line) <= size.columns;
                }));
            }
}

TEST_CASE("a large block fills most of the terminal", "[terminal]") {
    const auto lines = lines_of(drawn(kGuest, {80, 24}, Paint::Colours));
    CHECK(std::ranges::count_if(lines, [](const std::string& line) {
              return columns_of(line) >= 60 && line.find("\u2580") != std::string::npos;
          }) >= 14);
}

TEST_CASE("without colours there are no escape sequences", "[terminal]") {
    const std::string text = drawn(kGuest, {80, 24}, Paint::Glyphs);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("\u2588") != std::string::npos); // stored
    CHECK(text.find("\u00b7") != std::string::npos); // zero
}

TEST_CASE("blocks that find no room are counted", "[terminal]") {
    std::vector<BlockSize> many(40, {"some.block", 64});
    many.push_back({"pc.ram", 1 << 18});
    const auto lines = lines_of(drawn(many, {80, 24}, Paint::Glyphs));
    CHECK(lines.back() == "and 35 more blocks: name one with --block");
}
