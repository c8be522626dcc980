#include "qmp/ctl/terminal.hpp"

#include <clocale>
#include <cstdlib>
#include <string_view>

#include <langinfo.h>
#include <sys/ioctl.h>

namespace mfd::ctl {

std::string environment(const char* name) {
    const char* const value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): see the header
    return value == nullptr ? "" : value;
}

std::optional<TerminalSize> terminal_size(FdRef output) {
    winsize size{};
    if (::ioctl(output.get(), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return std::nullopt;
    return TerminalSize{size.ws_col, size.ws_row};
}

bool speaks_utf8() {
    // One thread, as the header says. NOLINTBEGIN(concurrency-mt-unsafe)
    std::setlocale(LC_CTYPE, "");
    return std::string_view(::nl_langinfo(CODESET)) == "UTF-8";
    // NOLINTEND(concurrency-mt-unsafe)
}

bool colours_wanted() {
    return environment("NO_COLOR").empty(); // set and not empty means no colour
}

bool terminal_redraws() {
    const std::string term = environment("TERM");
    return !term.empty() && term != "dumb";
}

} // namespace mfd::ctl
