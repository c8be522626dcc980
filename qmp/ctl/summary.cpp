#include "qmp/ctl/summary.hpp"

#include "qmp/ctl/progress.hpp"
#include "qmp/ctl/reply_fields.hpp"
#include "qmp/units.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace mfd::ctl {

using qmp::Json;

namespace {

constexpr std::size_t kLabelColumns = 11;

std::string row(std::string_view label, std::string_view text) {
    std::string line = "  ";
    line += label;
    line.append(kLabelColumns - std::min(kLabelColumns - 1, label.size()), ' ');
    line += text;
    return line + "\n";
}

std::string rate(std::uint64_t bytes, std::uint64_t ms) {
    return format_rate(ms == 0 ? 0 : static_cast<double>(bytes) * 1000 / static_cast<double>(ms));
}

std::string memory_row(const Json& ram) {
    const std::uint64_t stored = number_in(ram, "normal");
    return row("memory", format_bytes(number_in(ram, "total")) + ": " + format_count(stored) +
                             " pages stored (" + format_bytes(number_in(ram, "normal-bytes")) +
                             "), " + format_count(number_in(ram, "duplicate")) + " zero");
}

std::string version_text(const Json& version) {
    const auto qemu = object_in(version, "qemu");
    std::string text = "QEMU " + std::to_string(number_in(qemu, "major")) + "." +
                       std::to_string(number_in(qemu, "minor")) + "." +
                       std::to_string(number_in(qemu, "micro"));
    if (const auto package = text_in(version, "package"); !package.empty())
        text += " (" + package + ")";
    return text;
}

std::string migration_rows(const Json& info) {
    const auto status = text_in(info, "status");
    if (status.empty())
        return row("migration", "none");
    std::string text = status;
    if (const auto reason = text_in(info, "error-desc"); !reason.empty())
        text += ": " + reason;
    const auto ram = object_in(info, "ram");
    if (ram.empty())
        return row("migration", text);
    const std::chrono::milliseconds elapsed(
        static_cast<std::int64_t>(number_in(info, "total-time")));
    if (status == "completed") {
        text += " in " + format_time(elapsed);
    } else {
        auto sample = make_sample(info, elapsed);
        sample.bytes_per_second = static_cast<double>(number_in(ram, "transferred")) * 1000 /
                                  std::max<double>(static_cast<double>(elapsed.count()), 1);
        text = progress_text(text, sample);
    }
    return row("migration", text) + memory_row(ram);
}

} // namespace

std::string save_summary(const std::string& file, const Json& info, bool direct) {
    const auto ram = object_in(info, "ram");
    const std::uint64_t ms = number_in(info, "total-time");
    const std::uint64_t written = number_in(ram, "transferred");
    const std::uint64_t passes = number_in(ram, "dirty-sync-count");
    std::string text = "saved to " + file + " in " +
                       format_time(std::chrono::milliseconds(static_cast<std::int64_t>(ms))) + "\n";
    text += memory_row(ram);
    text += row("written", format_bytes(written) + ", " + rate(written, ms) + ", " +
                               (direct ? "direct" : "buffered") + ", " + std::to_string(passes) +
                               (passes == 1 ? " pass" : " passes"));
    text += row("downtime", format_time(std::chrono::milliseconds(
                                static_cast<std::int64_t>(number_in(info, "downtime")))));
    return text;
}

std::string restore_summary(const std::string& file, const Json& info,
                            std::chrono::milliseconds elapsed, bool direct) {
    const auto ram = object_in(info, "ram");
    std::string text = "restored from " + file + " in " + format_time(elapsed) + ", " +
                       (direct ? "direct" : "buffered") + "\n";
    // QEMU has no numbers for a load.
    if (!ram.empty())
        text += memory_row(ram);
    return text;
}

std::string status_text(const Json& all) {
    std::string text;
    const auto status = object_in(all, "query-status");
    std::string guest = text_in(status, "status");
    if (flag_in(status, "running") && guest != "running")
        guest += " (runs)";
    if (const auto name = text_in(object_in(all, "query-name"), "name"); !name.empty())
        guest = name + ", " + guest;
    text += row("guest", guest);
    if (all.contains("query-version"))
        text += row("server", version_text(all["query-version"]));
    text += migration_rows(object_in(all, "query-migrate"));
    for (const auto& backend : array_in(all, "query-memdev")) {
        if (!backend.is_object())
            continue;
        const auto id = text_in(backend, "id");
        text += row("backend", (id.empty() ? "(no id)" : id) + ", " +
                                   format_bytes(number_in(backend, "size")) +
                                   (flag_in(backend, "share") ? ", shared" : ", private") +
                                   (flag_in(backend, "prealloc") ? ", preallocated" : ""));
    }
    return text;
}

} // namespace mfd::ctl
