#include "qmp/map/terminal_writer.hpp"

#include "proto/checked.hpp"
#include "qmp/units.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace mfd::map {

namespace {

constexpr std::uint32_t kLabelColumns = 32; // name and size in front of a strip
constexpr std::uint32_t kHeaderLines = 3;

// The nearest of xterm's 256 colours.
unsigned xterm_colour(Rgb colour) {
    constexpr std::array<int, 6> kLevels{0, 95, 135, 175, 215, 255};
    constexpr unsigned kCube = 16;
    constexpr unsigned kGreys = 232;
    unsigned best = kCube;
    int least = INT32_MAX;
    const auto offer = [&](unsigned index, int red, int green, int blue) {
        const int r = red - colour.red;
        const int g = green - colour.green;
        const int b = blue - colour.blue;
        if (const int distance = r * r + g * g + b * b; distance < least) {
            least = distance;
            best = index;
        }
    };
    for (unsigned i = 0; i < 216; ++i)
        offer(kCube + i, kLevels[i / 36], kLevels[i / 6 % 6], kLevels[i % 6]);
    for (unsigned i = 0; i < 24; ++i) {
        const int grey = 8 + 10 * static_cast<int>(i);
        offer(kGreys + i, grey, grey, grey);
    }
    return best;
}

// Escape sequences of a line, only where the colour changes.
class ColouredLine {
public:
    explicit ColouredLine(const std::array<unsigned, kInks>& colours) : colours_(colours) {}

    void put(Ink top, Ink bottom) {
        // An empty cell is the terminal's own background, which no foreground can show.
        const bool swapped = top == kPaper && bottom != kPaper;
        const Ink front = swapped ? bottom : top;
        const Ink back = swapped ? top : bottom;
        if (front == kPaper) {
            set(back_, kPaper, "49");
            line_ += ' ';
            return;
        }
        set(front_, front, "38;5;" + std::to_string(colours_[front]));
        set(back_, back, back == kPaper ? "49" : "48;5;" + std::to_string(colours_[back]));
        line_ += swapped ? "\u2584" : "\u2580";
    }
    std::string take() { return line_ + "\x1b[0m"; }

private:
    void set(int& now, Ink ink, const std::string& code) {
        if (now == ink)
            return;
        now = ink;
        line_ += "\x1b[" + code + "m";
    }
    const std::array<unsigned, kInks>& colours_;
    std::string line_;
    int front_ = -1;
    int back_ = -1;
};

// What a cell is without colours.
const char* glyph_of(Ink ink, Paint paint) {
    constexpr std::array<const char*, 13> kGlyphs{
        "\u00b7",                               // zero
        "\u2591", "\u2592", "\u2593", "\u2588", // stored: shades
        "~",      "~",      "\u2248", "\u2248", // stale
        "x",      "x",      "X",      "X",      // differs
    };
    constexpr std::array<const char*, 13> kAscii{".", "-", "+", "*", "#", "s", "s",
                                                 "S", "S", "x", "x", "X", "X"};
    if (ink < kZeroInk)
        return " ";
    return (paint == Paint::Ascii ? kAscii : kGlyphs)[static_cast<std::size_t>(ink - kZeroInk)];
}

std::string left(std::string text, std::size_t width) {
    text.resize(width, ' ');
    return text;
}

class Screen {
public:
    Screen(const TerminalPlan& plan, const Facts& facts) : plan_(plan), facts_(facts) {
        const auto colours = palette(Theme::Terminal);
        for (std::size_t i = 0; i < kInks; ++i)
            colours_[i] = xterm_colour(colours[i]);
    }

    void header() {
        const KindCounts totals = facts_.totals();
        std::string what = facts_.file + "  " + format_bytes(totals.total() * kPageSize) + ", " +
                           format_count(totals.total()) + " pages";
        if (!facts_.against.empty())
            what += ", against " + facts_.against;
        line(what);
        std::string legend;
        std::size_t columns = 0;
        for (const Kind kind : {Kind::Stored, Kind::Zero, Kind::Stale, Kind::Differs}) {
            if (kind == Kind::Differs && facts_.against.empty())
                continue;
            std::string text = std::string(" ") + kind_name(kind) + " ";
            if (plan_.size.columns >= 120)
                text += format_count(totals[kind]) + ", ";
            text += percent_text(totals[kind], totals.total());
            if (columns + text.size() + 4 > plan_.size.columns)
                break;
            legend += (columns == 0 ? "" : "   ") + swatch(kind) + text;
            columns += text.size() + 4;
        }
        out_ += legend + "\n";
        const auto widest = std::ranges::max_element(
            plan_.panels, {}, [](const TerminalPanel& one) { return one.grid.pages_per_cell; });
        const std::uint64_t pages = widest == plan_.panels.end() ? 1 : widest->grid.pages_per_cell;
        line(pages == 1
                 ? "A cell is a page."
                 : "A cell is up to " + format_count(pages) + " pages (" +
                       format_bytes(pages * kPageSize) + ") and shows the most interesting.");
    }

    void panel(const TerminalPanel& panel, const CellCounter& cells) {
        const std::string size = format_bytes(panel.block.pages * kPageSize);
        if (panel.large)
            line(panel.block.name + "  " + size);
        const std::vector<Cell> all = cells.placed(facts_.order);
        const std::uint32_t high = plan_.paint == Paint::Colours ? 2 : 1;
        for (std::uint32_t y = 0; y < panel.grid.rows; y += high) {
            if (!panel.large)
                out_ += left(y == 0 ? left(panel.block.name, kLabelColumns - 14) + "  " + size : "",
                             kLabelColumns);
            out_ += plan_.paint == Paint::Colours ? coloured(panel.grid, all, y)
                                                  : plain(panel.grid, all, y);
            out_ += "\n";
        }
    }

    std::string finish() {
        const auto hidden = std::ranges::count(plan_.panels, false, &TerminalPanel::shown);
        if (hidden != 0)
            line("and " + std::to_string(hidden) + " more blocks: name one with --block");
        return std::move(out_);
    }

private:
    void line(const std::string& text) { out_ += text.substr(0, plan_.size.columns) + "\n"; }

    [[nodiscard]] std::string swatch(Kind kind) const {
        const Ink ink = ink_of({kind, 4});
        if (plan_.paint != Paint::Colours)
            return glyph_of(ink, plan_.paint);
        return "\x1b[38;5;" + std::to_string(colours_[ink]) + "m\u2588\x1b[0m";
    }
    [[nodiscard]] std::string coloured(const Grid& grid, const std::vector<Cell>& all,
                                       std::uint32_t y) const {
        ColouredLine out(colours_);
        for (std::uint32_t x = 0; x < grid.columns; ++x) {
            const std::size_t at = std::size_t{y} * grid.columns + x;
            out.put(ink_of(all[at]), y + 1 < grid.rows ? ink_of(all[at + grid.columns]) : kPaper);
        }
        return out.take();
    }
    [[nodiscard]] std::string plain(const Grid& grid, const std::vector<Cell>& all,
                                    std::uint32_t y) const {
        std::string out;
        for (std::uint32_t x = 0; x < grid.columns; ++x)
            out += glyph_of(ink_of(all[std::size_t{y} * grid.columns + x]), plan_.paint);
        return out;
    }

    const TerminalPlan& plan_;
    const Facts& facts_;
    std::array<unsigned, kInks> colours_{};
    std::string out_;
};

} // namespace

TerminalPlan plan_terminal(std::span<const BlockSize> blocks, TerminalSize size, Paint paint) {
    TerminalPlan plan{size, paint, {}};
    std::uint64_t total = 0;
    for (const BlockSize& block : blocks)
        total += block.pages;
    std::uint32_t large = 0;
    for (const BlockSize& block : blocks) {
        const bool is_large = block.pages * 5 >= total; // so there are five of them at most
        large += is_large ? 1 : 0;
        plan.panels.push_back({block, is_large, is_large, 1, {}});
    }
    const auto small = static_cast<std::uint32_t>(blocks.size()) - large;
    const std::uint32_t room = std::max(size.lines, kHeaderLines + 2) - kHeaderLines - 1;
    // Where not all small ones find room, a line says so.
    const std::uint32_t strips = small <= room / 3 ? small : room / 3 - std::min(room / 3, 1U);
    const std::uint32_t notes = strips < small ? 1 : 0;
    const std::uint32_t taken = strips + notes + large;
    const std::uint32_t each =
        large == 0 ? 1 : std::max<std::uint32_t>(1, (room - std::min(room, taken)) / large);
    const std::uint32_t high = paint == Paint::Colours ? 2 : 1;
    std::uint32_t shown = 0;
    for (TerminalPanel& panel : plan.panels) {
        panel.lines = panel.large ? each : 1;
        panel.shown = panel.large || shown++ < strips;
        const std::uint32_t columns =
            panel.large ? size.columns : std::max(size.columns, kLabelColumns + 2) - kLabelColumns;
        panel.grid = plan_grid(panel.block.pages, columns, panel.lines * high);
    }
    return plan;
}

std::string write_terminal(const TerminalPlan& plan, const Facts& facts,
                           std::span<const CellCounter> cells) {
    Screen screen(plan, facts);
    screen.header();
    for (std::size_t i = 0; i < plan.panels.size(); ++i)
        if (plan.panels[i].shown)
            screen.panel(plan.panels[i], cells[i]);
    return screen.finish();
}

} // namespace mfd::map
