// What a person does while a view is shown: keys, and signals in their place. One descriptor tells
// that there is something, so that every wait can end for it.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "qmp/ctl/interrupts.hpp"
#include "qmp/ctl/screen.hpp"

#include <cstdint>
#include <optional>
#include <utility>

namespace mfd::ctl {

enum class Wish : std::uint8_t {
    None,
    Leave,     // q, or the terminal is gone
    Interrupt, // ^C, SIGTERM
};

class UserInput {
public:
    // SIGINT, SIGTERM and SIGWINCH stay blocked from here on.
    static Result<UserInput> make();
    // Keys count once there is a screen; until then, and without one, only signals do.
    Result<void> watch_keys();
    [[nodiscard]] FdRef fd() const { return epoll_.ref(); }
    // Takes all that has come. A new size of the terminal goes to `screen`, which may be null.
    Wish take(Screen* screen);

private:
    UserInput(Interrupts signals, UniqueFd epoll)
        : signals_(std::move(signals)), epoll_(std::move(epoll)) {}

    Interrupts signals_;
    UniqueFd epoll_;
};

} // namespace mfd::ctl
