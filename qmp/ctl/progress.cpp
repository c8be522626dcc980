#include "qmp/ctl/progress.hpp"

#include "qmp/ctl/reply_fields.hpp"
#include "qmp/ctl/terminal.hpp"
#include "qmp/units.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include <unistd.h>

namespace mfd::ctl {

namespace {

constexpr std::size_t kMinBar = 10; // narrower bars say nothing
constexpr std::size_t kMaxBar = 40;
// The last column, and "^C", which the terminal writes behind the line: were it to begin another
// one, the old one would stay on the screen.
constexpr std::size_t kKeptFree = 3;
constexpr std::chrono::milliseconds kRateWindow{1000};
constexpr std::chrono::milliseconds kLineAtMostEvery{1000};
constexpr std::chrono::milliseconds kLineAtLeastEvery{10'000};

std::string padded(const std::string& text, std::size_t width) {
    return std::string(width - std::min(width, text.size()), ' ') + text;
}

std::string percent(const ProgressSample& sample) {
    const auto value = static_cast<int>(std::floor(fraction_done(sample) * 100));
    return std::to_string(value) + " %";
}

std::string bar(double fraction, std::size_t width, Colour colour) {
    const auto filled = static_cast<std::size_t>(std::floor(fraction * static_cast<double>(width)));
    std::string done(filled, '=');
    if (filled < width)
        done += '>';
    const std::string rest(width - done.size(), ' ');
    if (colour == Colour::Yes)
        return "[\x1b[32m" + done + "\x1b[0m" + rest + "]";
    return "[" + done + rest + "]";
}

} // namespace

ProgressSample make_sample(const qmp::Json& info, std::chrono::milliseconds elapsed) {
    ProgressSample sample;
    sample.elapsed = elapsed;
    sample.status = text_in(info, "status");
    const auto ram = object_in(info, "ram");
    sample.total_bytes = number_in(ram, "total");
    sample.counts_known = sample.total_bytes > 0;
    sample.remaining_bytes = std::min(number_in(ram, "remaining"), sample.total_bytes);
    sample.transferred_bytes = number_in(ram, "transferred");
    sample.pass = number_in(ram, "dirty-sync-count");
    return sample;
}

double fraction_done(const ProgressSample& sample) {
    if (!sample.counts_known)
        return 0;
    return 1 -
           static_cast<double>(sample.remaining_bytes) / static_cast<double>(sample.total_bytes);
}

std::string progress_bar(std::string_view action, const ProgressSample& sample, std::size_t columns,
                         Colour colour) {
    std::string head(action);
    head += "  ";
    std::string tail;
    if (sample.counts_known) {
        // Of steady width, or the bar's end would jump about.
        tail = "  " + padded(percent(sample), 5) + "  " +
               padded(format_bytes(sample.total_bytes - sample.remaining_bytes), 10) + "/" +
               format_bytes(sample.total_bytes) + "  " +
               padded(format_rate(sample.bytes_per_second), 12);
        if (sample.pass > 1)
            tail += "  pass " + std::to_string(sample.pass);
        tail += "  " + padded(format_time(sample.elapsed), 6);
    } else {
        tail = sample.status + "  " + format_time(sample.elapsed);
    }
    if (!sample.counts_known)
        return (head + tail).substr(0, columns);
    const std::size_t used = head.size() + tail.size() + 2;
    if (columns < used + kMinBar) // the numbers matter more than the bar
        return (head + tail.substr(2)).substr(0, columns);
    return head + bar(fraction_done(sample), std::min(columns - used, kMaxBar), colour) + tail;
}

std::string progress_text(std::string_view action, const ProgressSample& sample) {
    std::string text(action);
    text += ": ";
    if (sample.counts_known) {
        text += percent(sample) + ", " + format_bytes(sample.total_bytes - sample.remaining_bytes) +
                " of " + format_bytes(sample.total_bytes) + ", " +
                format_rate(sample.bytes_per_second);
        if (sample.pass > 1)
            text += ", pass " + std::to_string(sample.pass);
    } else {
        text += sample.status;
    }
    return text + ", " + format_time(sample.elapsed);
}

double RateMeter::update(const ProgressSample& sample) {
    const Point now{sample.elapsed, sample.transferred_bytes};
    if (now.elapsed - next_.elapsed >= kRateWindow) {
        base_ = next_;
        next_ = now;
    }
    const std::chrono::duration<double> time = now.elapsed - base_.elapsed;
    if (time.count() <= 0 || now.bytes < base_.bytes)
        return 0;
    return static_cast<double>(now.bytes - base_.bytes) / time.count();
}

bool LinePacer::due(const ProgressSample& sample) {
    const int tenths = static_cast<int>(std::floor(fraction_done(sample) * 10));
    const auto since = sample.elapsed - last_;
    const bool news = tenths > tenths_ || sample.status != status_;
    if (since < kLineAtMostEvery || (!news && since < kLineAtLeastEvery))
        return false;
    tenths_ = std::max(tenths_, tenths);
    status_ = sample.status;
    last_ = sample.elapsed;
    return true;
}

ProgressMode pick_progress_mode(FdRef output) {
    return ::isatty(output.get()) == 1 && terminal_redraws() ? ProgressMode::Bar
                                                             : ProgressMode::Lines;
}

ProgressDisplay::ProgressDisplay(std::string action, ProgressMode mode)
    : action_(std::move(action)), mode_(mode),
      colour_(colours_wanted() ? Colour::Yes : Colour::No) {}

void ProgressDisplay::show(ProgressSample sample) {
    sample.bytes_per_second = meter_.update(sample);
    if (mode_ == ProgressMode::Bar) {
        const auto size = terminal_size(FdRef(STDERR_FILENO)).value_or(TerminalSize{});
        const std::size_t width = std::max<std::size_t>(size.columns, kKeptFree) - kKeptFree;
        const std::string line = "\r\x1b[K" + progress_bar(action_, sample, width, colour_);
        static_cast<void>(std::fputs(line.c_str(), stderr));
        static_cast<void>(std::fflush(stderr));
        drawn_ = true;
    } else if (mode_ == ProgressMode::Lines && pacer_.due(sample)) {
        static_cast<void>(std::fputs((progress_text(action_, sample) + "\n").c_str(), stderr));
    }
}

void ProgressDisplay::clear() {
    if (std::exchange(drawn_, false))
        static_cast<void>(std::fputs("\r\x1b[K", stderr));
}

} // namespace mfd::ctl
