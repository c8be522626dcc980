// Pages as people name them. Pure.
#pragma once

#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace mfd::ctl {

// "N", or "A-B" with both included, decimal or with 0x; all pages of a block that has `pages` if
// the text is empty. Refused what does not lie in the block.
Result<PageRun> parse_page_range(std::string_view text, std::uint64_t pages);

// "5", "5-8"
std::string page_range_text(PageRun run);

} // namespace mfd::ctl
