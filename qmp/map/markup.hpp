// Text that goes into XML or HTML. Pure.
#pragma once

#include <string>
#include <string_view>

namespace mfd::map {

// Fit for element content and quoted attributes; what XML cannot hold at all becomes '?'.
std::string escape_markup(std::string_view text);

} // namespace mfd::map
