// What a terminal view shows, as text with styles: views are made as such by pure functions, and
// drawn by Screen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mfd::ctl {

enum class Style : std::uint8_t { Plain, Bold, Dim, Good, Warn, Bad, Accent };

struct Span {
    std::string text; // every character one column wide
    Style style = Style::Plain;
};
using ScreenLine = std::vector<Span>;

// Which characters a terminal can show.
enum class Glyphs : std::uint8_t { Ascii, Unicode };

struct Surface {
    std::size_t columns = 80;
    std::size_t rows = 24;
    Glyphs glyphs = Glyphs::Ascii;
};

std::size_t columns_of(std::string_view text);
std::size_t columns_of(const ScreenLine& line);
// The part of `text` that fits into so many columns.
std::string cut(std::string_view text, std::size_t columns);
ScreenLine cut(const ScreenLine& line, std::size_t columns);
// The same text without styles, for tests and for lines.
std::string plain(const ScreenLine& line);
// A name from elsewhere: what is no printable ASCII becomes '?'.
std::string printable(std::string_view text);

// `fraction` (0..1) of `columns`, the rest as a track.
ScreenLine bar(double fraction, std::size_t columns, Glyphs glyphs, Style style = Style::Good);
// `left` at the left end and `right` at the right one.
ScreenLine justified(ScreenLine left, const ScreenLine& right, std::size_t columns);

struct RatePoint {
    double throughput = 0; // bytes per second, both
    double dirty = 0;
};
// The newest points at the right: throughput as columns, the dirty rate as marks, the axis at the
// left. Always `rows` lines of at most `columns`.
std::vector<ScreenLine> rate_plot(const std::vector<RatePoint>& points, std::size_t columns,
                                  std::size_t rows, Glyphs glyphs);

} // namespace mfd::ctl
