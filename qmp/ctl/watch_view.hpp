// The screen of `watch`: facts in, lines out. Pure.
#pragma once

#include "qmp/ctl/text_screen.hpp"
#include "qmp/ctl/watch_model.hpp"

#include <string>
#include <vector>

namespace mfd::ctl {

// Exactly as many lines as the surface has rows; the last one says how to leave, or what is wrong
// if `problem` is not empty. Where there is little room, what matters least is left out first.
std::vector<ScreenLine> watch_screen(const WatchFacts& facts, const std::string& problem,
                                     const Surface& surface);

} // namespace mfd::ctl
