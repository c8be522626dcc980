// Counts what the program has allocated with new, so that a test can say how much memory something
// needed at its peak.
#pragma once

#include <cstddef>

namespace mfd::qmp {

// Forgets the peak so far; returns what is allocated now.
std::size_t start_peak();
std::size_t peak_bytes();

} // namespace mfd::qmp
