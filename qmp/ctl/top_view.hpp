// The table of `top`: states in, lines out. Pure.
#pragma once

#include "qmp/ctl/instance.hpp"
#include "qmp/ctl/text_screen.hpp"

#include <string>
#include <vector>

namespace mfd::ctl {

// A line of titles and one for each instance; those that cannot be asked say why.
std::vector<ScreenLine> top_table(const std::vector<InstanceState>& instances,
                                  const Surface& surface);
// Exactly as many lines as the surface has rows, with a title and how to leave.
std::vector<ScreenLine> top_screen(const std::vector<InstanceState>& instances,
                                   const std::string& folder, const Surface& surface);

} // namespace mfd::ctl
