// The terminal that multifdctl writes to, and the environment it was started in. Asked by the main
// thread; nothing here changes a variable.
#pragma once

#include "channels/unique_fd.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace mfd::ctl {

// Empty if it is not set.
std::string environment(const char* name);

struct TerminalSize {
    std::uint32_t columns = 80;
    std::uint32_t lines = 24;
};

// Nothing if this is no terminal, or one that does not know its size.
std::optional<TerminalSize> terminal_size(FdRef output);

// Takes the user's locale; whether it is one of UTF-8.
bool speaks_utf8();
// Whether NO_COLOR (https://no-color.org) allows colours, and TERM drawing in place.
bool colours_wanted();
bool terminal_redraws();

} // namespace mfd::ctl
