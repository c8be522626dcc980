#include "qmp/map/palette.hpp"

#include <cstdio>

namespace mfd::map {

namespace {

struct Base {
    Rgb paper, text, faint, frame, zero;
    std::array<Rgb, 3> kinds; // stored, stale, differs
};

constexpr Base kOnPaper{
    {0xff, 0xff, 0xff}, {0x1b, 0x1f, 0x24},
    {0x5b, 0x64, 0x70}, {0xc9, 0xd0, 0xd8},
    {0xe9, 0xec, 0xf0}, {{{0x00, 0x44, 0x88}, {0xdd, 0xaa, 0x33}, {0xbb, 0x55, 0x66}}}};
// The same hues, lighter.
constexpr Base kOnTerminal{
    {0x00, 0x00, 0x00}, {0xe6, 0xe9, 0xed},
    {0x9a, 0xa4, 0xb0}, {0x5b, 0x64, 0x70},
    {0x3a, 0x40, 0x48}, {{{0x5f, 0xaf, 0xff}, {0xff, 0xd7, 0x5f}, {0xff, 0x5f, 0x87}}}};

constexpr std::array<unsigned, 4> kPercent{38, 58, 78, 100}; // of the kind's colour, by quarters

std::uint8_t mixed(std::uint8_t from, std::uint8_t to, unsigned percent) {
    return static_cast<std::uint8_t>((from * (100 - percent) + to * percent + 50) / 100);
}

} // namespace

Ink ink_of(Cell cell) {
    if (cell.quarters == 0)
        return kPaper;
    if (cell.kind == Kind::Zero)
        return kZeroInk;
    const auto kind = static_cast<unsigned>(cell.kind) - 1;
    return static_cast<Ink>(kZeroInk + kind * 4 + cell.quarters);
}

std::array<Rgb, kInks> palette(Theme theme) {
    const Base& base = theme == Theme::Paper ? kOnPaper : kOnTerminal;
    std::array<Rgb, kInks> out{base.paper, base.text, base.faint, base.frame, base.zero};
    std::size_t at = kZeroInk + 1;
    for (const Rgb kind : base.kinds)
        for (const unsigned percent : kPercent)
            out[at++] = {mixed(base.zero.red, kind.red, percent),
                         mixed(base.zero.green, kind.green, percent),
                         mixed(base.zero.blue, kind.blue, percent)};
    return out;
}

std::string css_colour(Rgb colour) {
    std::array<char, 8> text{};
    static_cast<void>(std::snprintf(text.data(), text.size(), "#%02x%02x%02x", colour.red,
                                    colour.green, colour.blue));
    return text.data();
}

} // namespace mfd::map
