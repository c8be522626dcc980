#include "qmp/ctl/top_view.hpp"

#include "qmp/ctl/watch_model.hpp"
#include "qmp/units.hpp"

#include <algorithm>
#include <cmath>

namespace mfd::ctl {

namespace {

constexpr std::size_t kNameColumns = 27; // the longest that a user of the service can be made of
constexpr std::size_t kBarColumns = 12;

std::string field(const std::string& text, std::size_t width) {
    return cut(text, width) + std::string(width - std::min(width, columns_of(text)), ' ');
}

std::string field_at_right(const std::string& text, std::size_t width) {
    return std::string(width - std::min(width, columns_of(text)), ' ') + cut(text, width);
}

std::size_t name_columns(const std::vector<InstanceState>& instances) {
    std::size_t longest = 5;
    for (const InstanceState& instance : instances)
        longest = std::max(longest, instance.name.size());
    return std::min(longest, kNameColumns);
}

Style style_of(const std::string& job_status) {
    if (job_status == "failed")
        return Style::Bad;
    return is_job_running(job_status) ? Style::Accent : Style::Plain;
}

ScreenLine instance_line(const InstanceState& instance, std::size_t name_width,
                         const Surface& surface) {
    ScreenLine line{{field(printable(instance.name), name_width) + "  ", Style::Bold}};
    if (!instance.problem.empty()) {
        line.push_back({"not reached: " + printable(instance.problem), Style::Bad});
        return line;
    }
    line.push_back({field(instance.run_state, 14) +
                        field_at_right(format_bytes(instance.ram_bytes), 11) + "  ",
                    Style::Plain});
    const std::string job = instance.job.empty() ? "-" : instance.job + " " + instance.job_status;
    line.push_back({field(job, 18), style_of(instance.job_status)});
    if (!is_job_running(instance.job_status))
        return line;
    if (instance.progress) {
        line.push_back(
            {field_at_right(
                 std::to_string(static_cast<int>(std::floor(*instance.progress * 100))) + " %", 6),
             Style::Plain});
    } else {
        line.push_back({field_at_right("?", 6), Style::Dim});
    }
    line.push_back({field_at_right(format_rate(instance.bytes_per_second), 14), Style::Plain});
    if (instance.progress && columns_of(line) + 2 + kBarColumns <= surface.columns) {
        line.push_back({"  ", Style::Plain});
        const auto drawn = bar(*instance.progress, kBarColumns, surface.glyphs);
        line.insert(line.end(), drawn.begin(), drawn.end());
    }
    return line;
}

} // namespace

std::vector<ScreenLine> top_table(const std::vector<InstanceState>& instances,
                                  const Surface& surface) {
    const std::size_t name_width = name_columns(instances);
    std::vector<ScreenLine> lines;
    lines.push_back(
        {{field("GUEST", name_width) + "  " + field("STATE", 14) + field_at_right("RAM", 11) +
              "  " + field("JOB", 18) + field_at_right("DONE", 6) + field_at_right("RATE", 14),
          Style::Dim}});
    for (const InstanceState& instance : instances)
        lines.push_back(instance_line(instance, name_width, surface));
    for (ScreenLine& line : lines)
        line = cut(line, surface.columns);
    return lines;
}

std::vector<ScreenLine> top_screen(const std::vector<InstanceState>& instances,
                                   const std::string& folder, const Surface& surface) {
    const auto count = [&](const auto& wanted) {
        return std::to_string(std::count_if(instances.begin(), instances.end(), wanted));
    };
    const std::string summary =
        std::to_string(instances.size()) + " guests, " +
        count([](const auto& one) { return is_job_running(one.job_status); }) + " jobs, " +
        count([](const auto& one) { return !one.problem.empty(); }) + " not reached";
    std::vector<ScreenLine> lines{
        justified({{"multifdctl top", Style::Bold}, {"  " + printable(folder), Style::Dim}},
                  {{summary, Style::Plain}}, surface.columns),
        {}};
    auto table = top_table(instances, surface);
    const std::size_t room = surface.rows - std::min<std::size_t>(surface.rows, 4);
    if (table.size() > room + 1 && room > 0) {
        const std::size_t hidden = table.size() - room;
        table.resize(room);
        table.push_back({{"and " + std::to_string(hidden) + " more", Style::Dim}});
    }
    lines.insert(lines.end(), table.begin(), table.end());
    if (instances.empty())
        lines.push_back({{"no sockets there; is the service installed, or is --directory missing?",
                          Style::Plain}});
    lines.resize(std::max<std::size_t>(surface.rows, 1) - 1);
    lines.push_back({{"q", Style::Bold}, {" quit", Style::Dim}});
    for (ScreenLine& line : lines)
        line = cut(line, surface.columns);
    return lines;
}

} // namespace mfd::ctl
