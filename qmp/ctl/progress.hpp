// Shows how far a job is: a bar that is redrawn on a terminal, plain lines elsewhere. The texts are
// made by pure functions; ProgressDisplay only decides when and where to write them.
#pragma once

#include "channels/unique_fd.hpp"
#include "qmp/json.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mfd::ctl {

// One look at a running job.
struct ProgressSample {
    std::string status; // as in query-migrate
    std::chrono::milliseconds elapsed{0};
    bool counts_known = false; // QEMU has no numbers for a load
    std::uint64_t total_bytes = 0;
    std::uint64_t remaining_bytes = 0;
    std::uint64_t transferred_bytes = 0;
    std::uint64_t pass = 0;
    double bytes_per_second = 0; // of late: see RateMeter
};

// Reads the reply of query-migrate; members that are missing or odd count as unknown.
ProgressSample make_sample(const qmp::Json& info, std::chrono::milliseconds elapsed);
// The share that is done, 0..1.
double fraction_done(const ProgressSample& sample);

enum class Colour : std::uint8_t { No, Yes };
// "save  [=====>    ]  52 %  1.02 GiB/2.00 GiB  1.50 GiB/s  1.30 s", at most `columns` wide.
std::string progress_bar(std::string_view action, const ProgressSample& sample, std::size_t columns,
                         Colour colour);
// "save: 52 %, 1.02 GiB of 2.00 GiB, 1.50 GiB/s, 1.30 s".
std::string progress_text(std::string_view action, const ProgressSample& sample);

// The rate over the last second or so. Two looks at a job may be a millisecond apart, which says
// nothing about its speed; before the first second it is the average since the start.
class RateMeter {
public:
    double update(const ProgressSample& sample);

private:
    struct Point {
        std::chrono::milliseconds elapsed{0};
        std::uint64_t bytes = 0;
    };
    Point base_; // the newest point that is at least a second old
    Point next_; // will be the base when it is a second old
};

// Decides which samples are worth a plain line: every further tenth and every change of status, but
// one per second at most, and one in ten seconds in any case. Short jobs get none.
class LinePacer {
public:
    bool due(const ProgressSample& sample);

private:
    std::string status_;
    int tenths_ = 0;
    std::chrono::milliseconds last_{0};
};

enum class ProgressMode : std::uint8_t { Off, Lines, Bar };
// Bar on a terminal that can redraw a line, plain lines elsewhere.
ProgressMode pick_progress_mode(FdRef output);

class ProgressDisplay {
public:
    ProgressDisplay(std::string action, ProgressMode mode);
    ~ProgressDisplay() { clear(); }
    ProgressDisplay(const ProgressDisplay&) = delete;
    ProgressDisplay& operator=(const ProgressDisplay&) = delete;

    void show(ProgressSample sample);
    // Takes the bar off the screen, so that something else can be written.
    void clear();

private:
    std::string action_;
    ProgressMode mode_;
    Colour colour_;
    LinePacer pacer_;
    RateMeter meter_;
    bool drawn_ = false;
};

} // namespace mfd::ctl
