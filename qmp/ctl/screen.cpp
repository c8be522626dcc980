#include "qmp/ctl/screen.hpp"

#include "qmp/ctl/terminal.hpp"

#include <cstdio>

#include <unistd.h>

#define NCURSES_NOMACROS // NOLINT(readability-identifier-naming): the name is ncurses'
#include <ncurses.h>

namespace mfd::ctl {

namespace {

constexpr short kDefaultColour = -1;

// Pairs are numbered by their style.
short pair_of(Style style) {
    return static_cast<short>(static_cast<int>(style) + 1);
}

void define_colours() {
    ::use_default_colors();
    ::init_pair(pair_of(Style::Good), COLOR_GREEN, kDefaultColour);
    ::init_pair(pair_of(Style::Warn), COLOR_YELLOW, kDefaultColour);
    ::init_pair(pair_of(Style::Bad), COLOR_RED, kDefaultColour);
    ::init_pair(pair_of(Style::Accent), COLOR_CYAN, kDefaultColour);
}

attr_t attributes_of(Style style) {
    switch (style) {
    case Style::Bold:
    case Style::Bad: // it counts without colours, too
        return A_BOLD;
    case Style::Dim:
        return A_DIM;
    case Style::Plain:
    case Style::Good:
    case Style::Warn:
    case Style::Accent:
        break;
    }
    return A_NORMAL;
}

bool is_coloured(Style style) {
    return style != Style::Plain && style != Style::Bold && style != Style::Dim;
}

} // namespace

std::optional<Screen> Screen::open() {
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1 || !terminal_redraws())
        return std::nullopt;
    // Before ncurses looks at the locale; other threads come later, if at all.
    const Glyphs glyphs = speaks_utf8() ? Glyphs::Unicode : Glyphs::Ascii;
    SCREEN* const terminal = ::newterm(nullptr, stdout, stdin);
    if (terminal == nullptr)
        return std::nullopt;
    return Screen(terminal, glyphs);
}

Screen::Screen(void* terminal, Glyphs glyphs) : terminal_(terminal) {
    ::cbreak();
    ::noecho();
    ::curs_set(0);
    ::nodelay(stdscr, true);
    ::keypad(stdscr, true);
    colours_ = colours_wanted() && ::has_colors() && ::start_color() == OK;
    if (colours_)
        define_colours();
    surface_.glyphs = glyphs;
    follow_size();
}

void Screen::End::operator()(void* terminal) const {
    ::endwin();
    ::delscreen(static_cast<SCREEN*>(terminal));
}

void Screen::draw(const std::vector<ScreenLine>& lines) {
    ::werase(stdscr);
    int row = 0;
    for (const ScreenLine& line : lines) {
        ::wmove(stdscr, row++, 0);
        for (const Span& span : cut(line, surface_.columns)) {
            const bool coloured = colours_ && is_coloured(span.style);
            ::wattr_set(stdscr, attributes_of(span.style),
                        coloured ? pair_of(span.style) : short{0}, nullptr);
            ::waddnstr(stdscr, span.text.c_str(), -1);
        }
    }
    ::wrefresh(stdscr);
}

void Screen::follow_size() {
    if (const auto size = terminal_size(FdRef(STDOUT_FILENO)))
        ::resizeterm(static_cast<int>(size->lines), static_cast<int>(size->columns));
    surface_.rows = static_cast<std::size_t>(::getmaxy(stdscr));
    surface_.columns = static_cast<std::size_t>(::getmaxx(stdscr));
    ::clearok(stdscr, true); // what the terminal made of the old picture is unknown
}

int Screen::take_key() {
    const int key = ::wgetch(stdscr);
    return key == ERR ? 0 : key;
}

FdRef Screen::keys() {
    return FdRef(STDIN_FILENO);
}

} // namespace mfd::ctl
