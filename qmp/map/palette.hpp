// The colours of a picture. Pure.
//
// Kinds have those of Paul Tol's "high contrast" scheme: told apart with any colour vision, and by
// their lightness alone, as in a grey print. Less than all of a cell's pages: nearer to zero's.
#pragma once

#include "qmp/map/cells.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace mfd::map {

struct Rgb {
    std::uint8_t red = 0;
    std::uint8_t green = 0;
    std::uint8_t blue = 0;
};

enum class Theme : std::uint8_t {
    Paper,    // pictures: dark on white
    Terminal, // mostly dark
};

// Index into a palette; what cells use follows on the named ones.
using Ink = std::uint8_t;
inline constexpr Ink kPaper = 0;
inline constexpr Ink kText = 1;
inline constexpr Ink kFaintText = 2;
inline constexpr Ink kFrame = 3;
inline constexpr Ink kZeroInk = 4;
inline constexpr std::size_t kInks = 5 + 3 * 4;

Ink ink_of(Cell cell);
std::array<Rgb, kInks> palette(Theme theme);
std::string css_colour(Rgb colour); // "#004488"

} // namespace mfd::map
