// ^C and SIGTERM as a readable descriptor, so that a wait can end early and the job be cancelled
// instead of left alone. One object, made before anything is started on the server; it belongs to
// the thread that makes it, and the signals stay blocked for good: only take() sees them.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <initializer_list>
#include <utility>

namespace mfd::ctl {

class Interrupts {
public:
    // `more`: signals that are to be taken as well.
    static Result<Interrupts> make(std::initializer_list<int> more = {});
    [[nodiscard]] FdRef fd() const { return fd_.ref(); }
    // Takes one signal off the descriptor: its number, 0 if there was none.
    int take();

private:
    explicit Interrupts(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

} // namespace mfd::ctl
