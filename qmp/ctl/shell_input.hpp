// Lines for the shell: from readline on a terminal, plainly read from anything else. Either way
// the shell polls stdin together with its other descriptors and calls feed() when it is readable.
#pragma once

#include "qmp/ctl/schema_help.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <string>

namespace mfd::ctl {

class ShellInput {
public:
    virtual ~ShellInput() = default;
    ShellInput() = default;
    ShellInput(const ShellInput&) = delete;
    ShellInput& operator=(const ShellInput&) = delete;

    // Reads what is there. Complete lines are kept for take_line().
    virtual void feed() = 0;
    // Another prompt while a request of several lines is open.
    virtual void set_continued(bool continued) = 0;
    // Writes to stdout without spoiling the line that is being typed.
    virtual void print(const std::string& text) = 0;
    // Drops the line that is being typed, and what it continues.
    virtual void abandon_line() = 0;

    std::optional<std::string> take_line();
    // No more lines will come once those that are kept are taken.
    [[nodiscard]] bool ended() const { return ended_ && lines_.empty(); }

protected:
    // A line longer than this ends the input: nobody types it.
    static constexpr std::size_t kMaxLineBytes = std::size_t{16} << 20;

    std::deque<std::string> lines_;
    bool ended_ = false;
};

// At most one terminal input may exist at a time, since readline keeps its state in globals. `help`
// must outlive it.
std::unique_ptr<ShellInput> make_terminal_input(const SchemaHelp& help);
std::unique_ptr<ShellInput> make_plain_input();

} // namespace mfd::ctl
