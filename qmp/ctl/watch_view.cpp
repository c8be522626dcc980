#include "qmp/ctl/watch_view.hpp"

#include "qmp/units.hpp"

#include <algorithm>
#include <cmath>

namespace mfd::ctl {

namespace {

using Lines = std::vector<ScreenLine>;

// Chosen by eye. Below the first two there is room for one line of progress only.
constexpr std::size_t kMinColumns = 40;
constexpr std::size_t kMinRows = 10;
constexpr std::size_t kMinPlotRows = 3;
constexpr std::size_t kMaxPlotRows = 14;
constexpr std::size_t kMaxBarColumns = 100;

std::string right_aligned(const std::string& text, std::size_t width) {
    return std::string(width - std::min(width, text.size()), ' ') + text;
}

ScreenLine title_line(const WatchFacts& facts, const Surface& surface) {
    ScreenLine left{{"multifdctl watch", Style::Bold}};
    if (!facts.guest.empty())
        left.push_back({"  " + facts.guest, Style::Accent});
    if (!facts.run_state.empty())
        left.push_back({"  guest " + facts.run_state, Style::Plain});
    return justified(left, {{format_time(facts.job.elapsed), Style::Plain}}, surface.columns);
}

ScreenLine footer_line(const std::string& problem, const Surface& surface) {
    const ScreenLine keys{{"q", Style::Bold}, {" quit; the job goes on", Style::Dim}};
    if (problem.empty())
        return cut(keys, surface.columns);
    const ScreenLine short_keys{{"q", Style::Bold}, {" quit", Style::Dim}};
    const std::size_t room = surface.columns - std::min<std::size_t>(surface.columns, 8);
    return justified({{cut(problem, room), Style::Bad}}, short_keys, surface.columns);
}

ScreenLine job_line(const WatchFacts& facts) {
    ScreenLine line{{facts.action, Style::Bold}, {"  " + facts.job.status, Style::Plain}};
    if (facts.job.pass > 0)
        line.push_back({"  pass " + std::to_string(facts.job.pass), Style::Plain});
    if (facts.throttle_percent)
        line.push_back(
            {"  guest throttled " + std::to_string(*facts.throttle_percent) + " %", Style::Warn});
    if (facts.job.status == "pre-switchover")
        line.push_back({"  waits: multifdctl resume", Style::Warn});
    else if (facts.waits_for_stop)
        line.push_back({"  waits: multifdctl pause", Style::Warn});
    else if (facts.not_converging)
        line.push_back({"  does not converge", Style::Warn});
    return line;
}

ScreenLine progress_line(const WatchFacts& facts, const Surface& surface) {
    const double fraction = fraction_done(facts.job);
    const std::string tail =
        right_aligned(std::to_string(static_cast<int>(std::floor(fraction * 100))) + " %", 6) +
        "  of " + format_bytes(facts.job.total_bytes);
    const std::size_t room = surface.columns - std::min(surface.columns, tail.size() + 1);
    ScreenLine line = bar(fraction, std::min(room, kMaxBarColumns), surface.glyphs);
    line.push_back({tail, Style::Plain});
    return line;
}

ScreenLine rates_line(const WatchFacts& facts) {
    ScreenLine line{{"throughput ", Style::Dim},
                    {right_aligned(format_rate(facts.job.bytes_per_second), 12), Style::Accent}};
    if (facts.dirty_bytes_per_second) {
        line.push_back({"   dirty rate ", Style::Dim});
        line.push_back(
            {right_aligned(format_rate(*facts.dirty_bytes_per_second), 12), Style::Warn});
    }
    return line;
}

ScreenLine rest_line(const WatchFacts& facts) {
    ScreenLine line{{"remaining  ", Style::Dim},
                    {right_aligned(format_bytes(facts.job.remaining_bytes), 12), Style::Plain}};
    if (facts.expected_downtime) {
        line.push_back({"   downtime   ", Style::Dim});
        line.push_back(
            {right_aligned("~" + format_time(*facts.expected_downtime), 12), Style::Plain});
    }
    return line;
}

ScreenLine legend_line(const Surface& surface) {
    const bool unicode = surface.glyphs == Glyphs::Unicode;
    return {{unicode ? "█" : "#", Style::Accent},
            {" throughput   ", Style::Dim},
            {unicode ? "•" : "o", Style::Warn},
            {" dirty rate", Style::Dim}};
}

ScreenLine channel_line(const ChannelRate& channel, double fastest, const Surface& surface) {
    const std::string head = right_aligned(std::to_string(channel.id), 3) + " ";
    std::string tail = right_aligned(format_rate(channel.bytes_per_second), 13) +
                       right_aligned(format_bytes(channel.bytes), 12);
    if (surface.columns >= 70)
        tail += "  p99" + right_aligned(std::to_string(channel.p99_us) + " us", 11);
    const std::size_t taken = head.size() + tail.size();
    const std::size_t room = surface.columns > taken ? surface.columns - taken : 0;
    ScreenLine line{{head, Style::Dim}};
    const auto drawn = bar(fastest > 0 ? channel.bytes_per_second / fastest : 0,
                           std::min(room, kMaxBarColumns), surface.glyphs, Style::Accent);
    line.insert(line.end(), drawn.begin(), drawn.end());
    line.push_back({tail, Style::Plain});
    return line;
}

void add_channels(Lines& lines, const WatchFacts& facts, std::size_t rows, const Surface& surface) {
    if (facts.channels.empty() || rows < 2)
        return;
    lines.push_back({{"channels", Style::Dim}});
    double fastest = 0;
    for (const ChannelRate& channel : facts.channels)
        fastest = std::max(fastest, channel.bytes_per_second);
    const bool all = facts.channels.size() <= rows - 1;
    const std::size_t shown = all ? facts.channels.size() : rows - 2;
    for (std::size_t at = 0; at < shown; ++at)
        lines.push_back(channel_line(facts.channels[at], fastest, surface));
    if (!all)
        lines.push_back(
            {{"and " + std::to_string(facts.channels.size() - shown) + " more", Style::Dim}});
}

void add_body(Lines& lines, const WatchFacts& facts, const Surface& surface) {
    if (!is_job_running(facts.job.status)) {
        lines.push_back(
            {{facts.run_state.empty() ? "asking the server" : "no job runs; waiting for one",
              Style::Plain}});
        return;
    }
    lines.push_back(job_line(facts));
    if (!facts.job.counts_known)
        return; // a load by QEMU has no numbers
    lines.push_back(progress_line(facts, surface));
    lines.push_back(rates_line(facts));
    lines.push_back(rest_line(facts));
    // One row is the footer's, and blank lines stand before plot and channels.
    const std::size_t room = surface.rows - std::min(surface.rows, lines.size() + 2);
    const std::size_t wanted = facts.channels.empty() ? 0 : facts.channels.size() + 2;
    const std::size_t for_plot = room - std::min(room / 2, wanted);
    if (for_plot >= kMinPlotRows + 1) {
        lines.push_back({});
        lines.push_back(legend_line(surface));
        const auto plot = rate_plot(facts.history, surface.columns,
                                    std::min(for_plot - 1, kMaxPlotRows), surface.glyphs);
        lines.insert(lines.end(), plot.begin(), plot.end());
    }
    if (lines.size() + 4 <= surface.rows) {
        lines.push_back({});
        add_channels(lines, facts, surface.rows - lines.size() - 1, surface);
    }
}

} // namespace

std::vector<ScreenLine> watch_screen(const WatchFacts& facts, const std::string& problem,
                                     const Surface& surface) {
    Lines lines;
    if (surface.columns < kMinColumns || surface.rows < kMinRows) {
        lines.push_back({{progress_text(facts.action, facts.job), Style::Plain}});
    } else {
        lines.push_back(title_line(facts, surface));
        lines.push_back({});
        add_body(lines, facts, surface);
    }
    lines.resize(std::max<std::size_t>(surface.rows, 1) - 1);
    lines.push_back(footer_line(problem, surface));
    for (ScreenLine& line : lines)
        line = cut(line, surface.columns);
    return lines;
}

} // namespace mfd::ctl
