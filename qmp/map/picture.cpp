#include "qmp/map/picture.hpp"

#include "proto/checked.hpp"
#include "qmp/units.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>

namespace mfd::map {

namespace {

// In pixels at scale 1.
constexpr std::uint32_t kMargin = 32;
constexpr std::uint32_t kGap = 20;
constexpr std::uint32_t kLine = 18;
constexpr std::uint32_t kHeading = 2 * kLine; // of a panel
constexpr std::uint32_t kHeader = 252;        // title, bar and legend
constexpr std::uint32_t kLeastCell = 4;
constexpr std::uint32_t kBar = 14;

// How many panels of this size fit beside each other. A block's share of the memory decides, but
// small ones get more than theirs, to be seen at all.
std::uint32_t panels_abreast(std::uint64_t pages, std::uint64_t total) {
    if (pages * 10 >= total * 6)
        return 1;
    if (pages * 10 >= total * 2)
        return 2;
    return pages * 20 >= total ? 3 : 5;
}

std::string fitted(std::string text, std::uint32_t width, std::uint32_t scale) {
    const std::size_t most = width / (kTextWidth * scale);
    if (text.size() > most)
        text = text.substr(0, most - std::min<std::size_t>(most, 2)) + "..";
    return text;
}

class Drawing {
public:
    Drawing(const PanelPlan& plan, const Facts& facts) : plan_(plan), facts_(facts) {
        out_.width = plan.width;
        out_.height = plan.height;
        out_.scale = plan.scale;
        out_.boxes.push_back({0, 0, plan.width, plan.height, kPaper});
    }

    void header() {
        const KindCounts totals = facts_.totals();
        std::uint32_t y = kMargin;
        text(kMargin, y, facts_.file, kText, Weight::Bold);
        y += kLine;
        std::string what = format_bytes(totals.total() * kPageSize) + ", " +
                           format_count(totals.total()) + " pages in " +
                           std::to_string(plan_.panels.size()) +
                           (plan_.panels.size() == 1 ? " block" : " blocks");
        if (!facts_.against.empty())
            what += ", against " + facts_.against;
        text(kMargin, y, what, kFaintText);
        y += kLine + 8;
        bar(y, totals);
        y += kBar + 14;
        legend(y, totals);
    }

    void panel(const Panel& panel, const KindCounts& counts, const CellCounter& cells) {
        const std::uint32_t s = plan_.scale;
        raw_text(panel.x, panel.y - kHeading * s, fitted(panel.name, panel.width, s), kText,
                 Weight::Bold);
        const std::string size = format_bytes(panel.grid.pages * kPageSize);
        const std::string cell = panel.grid.pages_per_cell == 1
                                     ? "a cell is a page"
                                     : "a cell is " + format_count(panel.grid.pages_per_cell) +
                                           " pages, " +
                                           format_bytes(panel.grid.pages_per_cell * kPageSize);
        const std::string share =
            percent_text(counts[Kind::Stored], counts.total()) + " stored, " + cell;
        const bool wide = size.size() + share.size() + 2 <= panel.width / (kTextWidth * s);
        raw_text(panel.x, panel.y - kHeading * s + kLine * s,
                 fitted(wide ? size + ", " + share : size, panel.width, s), kFaintText,
                 Weight::Regular);
        CellArea area{panel.x, panel.y, panel.cell, panel.grid.columns, panel.grid.rows, {}};
        for (const Cell one : cells.placed(facts_.order))
            area.inks.push_back(ink_of(one));
        // A hairline around, or zeros at the edge would fade into the paper.
        out_.boxes.push_back({area.x - 1, area.y - 1, area.columns * area.cell + 2,
                              area.rows * area.cell + 2, kFrame});
        out_.areas.push_back(std::move(area));
    }

    Picture take() { return std::move(out_); }

private:
    // At a place in unscaled pixels.
    void text(std::uint32_t x, std::uint32_t y, const std::string& what, Ink ink,
              Weight weight = Weight::Regular) {
        const std::uint32_t s = plan_.scale;
        raw_text(x * s, y * s,
                 fitted(what, plan_.width - std::min(plan_.width, (x + kMargin) * s), s), ink,
                 weight);
    }
    void raw_text(std::uint32_t x, std::uint32_t y, std::string what, Ink ink, Weight weight) {
        out_.texts.push_back({x, y, std::move(what), ink, weight});
    }
    void box(std::uint32_t x, std::uint32_t y, std::uint32_t width, std::uint32_t height, Ink ink) {
        const std::uint32_t s = plan_.scale;
        out_.boxes.push_back({x * s, y * s, width * s, height * s, ink});
    }

    // The shares of the kinds, most interesting first; what is there at all gets two pixels.
    void bar(std::uint32_t y, const KindCounts& totals) {
        const std::uint32_t width = plan_.width / plan_.scale - 2 * kMargin;
        box(kMargin, y, width, kBar, totals.total() == 0 ? kPaper : kZeroInk);
        std::uint32_t x = kMargin;
        for (const Kind kind : {Kind::Differs, Kind::Stale, Kind::Stored}) {
            if (totals[kind] == 0)
                continue;
            const auto share = static_cast<std::uint32_t>(
                static_cast<double>(totals[kind]) / static_cast<double>(totals.total()) * width);
            const std::uint32_t part =
                std::min(std::max<std::uint32_t>(share, 2), kMargin + width - x);
            box(x, y, part, kBar, ink_of({kind, 4}));
            x += part;
        }
    }

    void legend(std::uint32_t y, const KindCounts& totals) {
        for (const Kind kind : {Kind::Stored, Kind::Zero, Kind::Stale, Kind::Differs}) {
            if (kind == Kind::Differs && facts_.against.empty())
                continue;
            constexpr std::uint32_t kSwatch = 12;
            for (std::uint8_t quarters = 1; quarters <= 4; ++quarters)
                box(kMargin + (quarters - 1U) * kSwatch, y, kSwatch, 12, ink_of({kind, quarters}));
            std::array<char, 128> line{};
            static_cast<void>(std::snprintf(line.data(), line.size(), "%-8s%15s %11s %8s   ",
                                            kind_name(kind), format_count(totals[kind]).c_str(),
                                            format_bytes(totals[kind] * kPageSize).c_str(),
                                            percent_text(totals[kind], totals.total()).c_str()));
            constexpr std::uint32_t kLeft = kMargin + 4 * kSwatch + 12;
            const std::string whole = line.data() + std::string(kind_meaning(kind));
            const bool fits =
                kLeft + whole.size() * kTextWidth + kMargin <= plan_.width / plan_.scale;
            text(kLeft, y, fits ? whole : line.data(), kText);
            y += kLine;
        }
        y += 6;
        text(kMargin, y, "A cell of several pages shows the most interesting of them:", kFaintText);
        y += kLine;
        text(kMargin, y, "differs, stale, stored, zero; paler where fewer are like it.",
             kFaintText);
        y += kLine;
        text(kMargin, y,
             facts_.order == Order::Hilbert
                 ? "Hilbert curve from the top left: near in memory is near here."
                 : "Rows from the top left, each from left to right.",
             kFaintText);
    }

    const PanelPlan& plan_;
    const Facts& facts_;
    Picture out_;
};

} // namespace

KindCounts Facts::totals() const {
    KindCounts sum;
    for (const KindCounts& block : blocks)
        sum.add(block);
    return sum;
}

std::string percent_text(std::uint64_t part, std::uint64_t whole) {
    if (part == 0 || whole == 0)
        return "0 %";
    if (part == whole)
        return "100 %";
    const double value = static_cast<double>(part) / static_cast<double>(whole) * 100;
    if (value < 0.1)
        return "<0.1 %";
    std::array<char, 16> text{};
    static_cast<void>(std::snprintf(text.data(), text.size(), "%.1f %%", std::min(value, 99.9)));
    return text.data();
}

const char* kind_meaning(Kind kind) {
    switch (kind) {
    case Kind::Zero:
        return "not in the file, reads as zero";
    case Kind::Stored:
        return "the file has the page";
    case Kind::Stale:
        return "zero, though old data is left";
    case Kind::Differs:
        return "other than in the other file";
    }
    return "";
}

PanelPlan plan_panels(std::span<const BlockSize> blocks, std::uint32_t width) {
    PanelPlan plan;
    plan.width = std::clamp(width, kLeastWidth, kMostWidth);
    plan.scale = std::max<std::uint32_t>(1, (plan.width + 512) / 1024);
    const std::uint32_t s = plan.scale;
    const std::uint32_t inner = plan.width - 2 * kMargin * s;
    const std::uint64_t total =
        std::accumulate(blocks.begin(), blocks.end(), std::uint64_t{0},
                        [](std::uint64_t sum, const BlockSize& one) { return sum + one.pages; });
    std::uint32_t x = 0; // of the shelf that is being filled
    std::uint32_t top = kHeader * s;
    std::uint32_t bottom = top;
    for (const BlockSize& block : blocks) {
        const std::uint32_t abreast = panels_abreast(block.pages, total);
        Panel panel;
        panel.name = block.name;
        panel.width = (inner - (abreast - 1) * kGap * s) / abreast;
        panel.grid = plan_grid(block.pages, panel.width / kLeastCell, panel.width / kLeastCell);
        panel.cell = std::min(panel.width / std::max(panel.grid.columns, panel.grid.rows), 24 * s);
        if (x != 0 && x + panel.width > inner) {
            x = 0;
            top = bottom + kGap * s;
        }
        panel.x = kMargin * s + x;
        panel.y = top + kHeading * s;
        bottom = std::max(bottom, panel.y + panel.grid.rows * panel.cell);
        x += panel.width + kGap * s;
        plan.panels.push_back(std::move(panel));
    }
    plan.height = bottom + kMargin * s;
    return plan;
}

Picture draw_picture(const PanelPlan& plan, const Facts& facts,
                     std::span<const CellCounter> cells) {
    Drawing drawing(plan, facts);
    drawing.header();
    for (std::size_t i = 0; i < plan.panels.size(); ++i)
        drawing.panel(plan.panels[i], facts.blocks[i], cells[i]);
    return drawing.take();
}

} // namespace mfd::map
