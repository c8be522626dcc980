#include "qmp/ctl/text_screen.hpp"

#include "qmp/units.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace mfd::ctl {

namespace {

// Blocks from the left and from below, in eighths.
constexpr std::array kEighthsWide{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
constexpr std::array kEighthsHigh{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::size_t kAxisColumns = 14; // "1023.99 GiB/s", a blank less, and the axis

bool continues(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U;
}

std::string repeated(std::string_view text, std::size_t count) {
    std::string out;
    for (std::size_t at = 0; at < count; ++at)
        out += text;
    return out;
}

// How many of `height` eighths of a cell's row are filled, 0..8. Rows count from below.
std::size_t filled_eighths(double height, std::size_t row) {
    return static_cast<std::size_t>(
        std::clamp(std::round(height) - 8.0 * static_cast<double>(row), 0.0, 8.0));
}

struct Cell {
    std::string text;
    Style style;
};

Cell plot_cell(const RatePoint& point, double top, std::size_t row, std::size_t rows,
               Glyphs glyphs) {
    const double scale = static_cast<double>(rows) / top;
    const bool unicode = glyphs == Glyphs::Unicode;
    const auto mark = std::min(static_cast<std::size_t>(point.dirty * scale), rows - 1);
    if (point.dirty > 0 && mark == row)
        return {unicode ? "•" : "o", Style::Warn};
    const std::size_t eighths = filled_eighths(point.throughput * scale * 8, row);
    if (unicode)
        return {kEighthsHigh.at(eighths), Style::Accent};
    return {eighths >= 4 ? "#" : " ", Style::Accent};
}

void append_cell(ScreenLine& line, const Cell& cell) {
    if (!line.empty() && line.back().style == cell.style)
        line.back().text += cell.text;
    else
        line.push_back({cell.text, cell.style});
}

} // namespace

std::size_t columns_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::size_t columns_of(const ScreenLine& line) {
    std::size_t columns = 0;
    for (const Span& span : line)
        columns += columns_of(span.text);
    return columns;
}

std::string cut(std::string_view text, std::size_t columns) {
    std::size_t end = 0;
    while (end < text.size() && (continues(text[end]) || columns > 0)) {
        columns -= continues(text[end]) ? 0U : 1U;
        ++end;
    }
    return std::string(text.substr(0, end));
}

ScreenLine cut(const ScreenLine& line, std::size_t columns) {
    ScreenLine out;
    for (const Span& span : line) {
        out.push_back({cut(span.text, columns), span.style});
        columns -= columns_of(out.back().text);
    }
    return out;
}

std::string plain(const ScreenLine& line) {
    std::string text;
    for (const Span& span : line)
        text += span.text;
    return text;
}

std::string printable(std::string_view text) {
    std::string out(text);
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return out;
}

ScreenLine bar(double fraction, std::size_t columns, Glyphs glyphs, Style style) {
    const double share = std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0;
    const auto eighths = static_cast<std::size_t>(share * static_cast<double>(columns) * 8);
    const std::size_t full = eighths / 8;
    if (glyphs == Glyphs::Ascii)
        return {{std::string(full, '#'), style}, {std::string(columns - full, '-'), Style::Dim}};
    const std::string part = full < columns ? kEighthsWide.at(eighths % 8) : "";
    return {{repeated("█", full) + part, style},
            {repeated("░", columns - full - (part.empty() ? 0 : 1)), Style::Dim}};
}

ScreenLine justified(ScreenLine left, const ScreenLine& right, std::size_t columns) {
    const std::size_t taken = columns_of(left) + columns_of(right);
    left.push_back({std::string(columns > taken ? columns - taken : 1, ' '), Style::Plain});
    left.insert(left.end(), right.begin(), right.end());
    return cut(left, columns);
}

std::vector<ScreenLine> rate_plot(const std::vector<RatePoint>& points, std::size_t columns,
                                  std::size_t rows, Glyphs glyphs) {
    const std::size_t room = columns > kAxisColumns ? columns - kAxisColumns : 0;
    const auto shown = std::span(points).last(std::min(points.size(), room));
    double top = 0;
    for (const RatePoint& point : shown)
        top = std::max({top, point.throughput, point.dirty});
    std::vector<ScreenLine> lines;
    for (std::size_t line = 0; line < rows; ++line) {
        const std::size_t row = rows - 1 - line;
        const std::string label = line == 0 ? format_rate(top) : row == 0 ? "0" : "";
        std::string axis(kAxisColumns - 2 - std::min(label.size(), kAxisColumns - 2), ' ');
        axis += label;
        axis += glyphs == Glyphs::Unicode ? " │" : " |";
        ScreenLine drawn{{axis, Style::Dim}, {std::string(room - shown.size(), ' '), Style::Plain}};
        for (const RatePoint& point : shown)
            append_cell(drawn, top > 0 ? plot_cell(point, top, row, rows, glyphs)
                                       : Cell{" ", Style::Plain});
        lines.push_back(cut(drawn, columns));
    }
    return lines;
}

} // namespace mfd::ctl
