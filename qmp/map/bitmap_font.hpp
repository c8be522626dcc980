// The characters of texts in a PNG: "8x13" and its bold face of the X Window System's misc-fixed
// fonts, which are in the public domain.
#pragma once

#include "qmp/map/picture.hpp"

#include <array>
#include <cstdint>

namespace mfd::map {

// A row of pixels in each byte, the leftmost in the highest bit.
using GlyphRows = std::array<std::uint8_t, kTextHeight>;

// Of printable ASCII; of anything else that of '?'.
const GlyphRows& glyph(char character, Weight weight);

} // namespace mfd::map
