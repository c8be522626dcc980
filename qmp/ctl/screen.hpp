// A terminal that a view is drawn on, over ncurses. One at a time, on one thread; the terminal is
// as before when it is destroyed. Signals are the caller's: blocked, and read from a descriptor.
#pragma once

#include "channels/unique_fd.hpp"
#include "qmp/ctl/text_screen.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace mfd::ctl {

class Screen {
public:
    // Nothing where a view cannot be drawn: no terminal at standard input and output, or one that
    // cannot move its cursor.
    static std::optional<Screen> open();
    Screen(Screen&&) noexcept = default;
    Screen& operator=(Screen&&) noexcept = default;

    [[nodiscard]] const Surface& surface() const { return surface_; }
    // Lines beyond the surface are left out.
    void draw(const std::vector<ScreenLine>& lines);
    // After SIGWINCH: the surface has the terminal's size then.
    void follow_size();
    // The next key that was pressed, 0 if there is none. Does not wait.
    int take_key();
    // Readable when a key was pressed.
    [[nodiscard]] static FdRef keys();

private:
    struct End {
        void operator()(void* terminal) const;
    };
    Screen(void* terminal, Glyphs glyphs);

    std::unique_ptr<void, End> terminal_;
    Surface surface_;
    bool colours_ = false;
};

} // namespace mfd::ctl
