#include "qmp/ctl/bench_result.hpp"

#include "qmp/units.hpp"

#include <algorithm>
#include <cmath>

namespace mfd::ctl {

namespace {

// Chosen: what a save is slower by is not worth more channels, or the page cache, below that.
constexpr double kWorthIt = 0.05;

std::string rate_cell(double rate) {
    std::string text = rate == 0 ? "-" : format_rate(rate);
    return std::string(14 - std::min<std::size_t>(14, text.size()), ' ') + text;
}

std::string label_cell(std::string text) {
    text.resize(std::max<std::size_t>(text.size(), 22), ' ');
    return text;
}

std::string table_line(const std::string& label, const BenchRates& rates) {
    return "  " + label_cell(label) + rate_cell(rates.save) + rate_cell(rates.restore) + "\n";
}

// Save and restore count alike: as if each were done once.
double round_trip(const BenchRates& rates) {
    if (rates.save == 0 || rates.restore == 0)
        return 0;
    return 2 / (1 / rates.save + 1 / rates.restore);
}

// The fewest channels that are as good as any, of one way of I/O.
const BenchRow* best_row(const BenchResult& result, bool direct) {
    double best = 0;
    for (const BenchRow& row : result.rows)
        if (row.direct == direct)
            best = std::max(best, round_trip(row.rates));
    const auto found = std::ranges::find_if(result.rows, [&](const BenchRow& row) {
        return row.direct == direct && best > 0 && round_trip(row.rates) >= best * (1 - kWorthIt);
    });
    return found == result.rows.end() ? nullptr : &*found;
}

std::string percent_of(double rate, double whole) {
    return std::to_string(std::lround(rate / whole * 100)) + " %";
}

} // namespace

BenchAdvice bench_advice(const BenchResult& result) {
    const BenchRow* const direct = best_row(result, true);
    const BenchRow* const buffered = best_row(result, false);
    // Direct I/O leaves the page cache to others, so it wins where both are about as fast.
    const bool take_direct =
        direct != nullptr &&
        (buffered == nullptr ||
         round_trip(direct->rates) >= round_trip(buffered->rates) * (1 - kWorthIt));
    const BenchRow* const chosen = take_direct ? direct : buffered;
    if (chosen == nullptr)
        return {};
    BenchAdvice advice{chosen->channels, chosen->direct, {}};
    advice.sentence = "Here, use multifd-channels=" + std::to_string(chosen->channels) +
                      " and direct-io=" + (chosen->direct ? "on" : "off") + ": it saves " +
                      format_rate(chosen->rates.save) + " and restores " +
                      format_rate(chosen->rates.restore);
    const double raw = std::max(result.raw_direct.save, result.raw_buffered.save);
    if (raw > 0)
        advice.sentence += ", " + percent_of(chosen->rates.save, raw) + " of a raw write";
    const BenchRow* const other = take_direct ? buffered : direct;
    if (!result.has_direct)
        advice.sentence += "; this file system knows no direct I/O";
    else if (other != nullptr)
        advice.sentence += std::string("; through the ") +
                           (take_direct ? "page cache" : "direct descriptor") + " it is " +
                           percent_of(round_trip(other->rates), round_trip(chosen->rates)) +
                           " of that";
    advice.sentence += ".";
    return advice;
}

std::string bench_table(const BenchResult& result) {
    std::string text = result.folder + ": " + result.file_system + ", " +
                       format_bytes(result.guest_bytes) + " of guest memory, median of " +
                       std::to_string(result.rounds) + "\n";
    text += "  " + label_cell("") + "          save       restore\n";
    if (result.has_direct)
        text += table_line("raw, direct", result.raw_direct);
    text += table_line("raw, buffered", result.raw_buffered);
    for (const BenchRow& row : result.rows)
        text += table_line(std::to_string(row.channels) +
                               (row.channels == 1 ? " channel, " : " channels, ") +
                               (row.direct ? "direct" : "buffered"),
                           row.rates);
    return text + bench_advice(result).sentence + "\n";
}

qmp::Json bench_json(const BenchResult& result) {
    const auto rates = [](const BenchRates& of) {
        return qmp::Json{{"save", std::llround(of.save)}, {"restore", std::llround(of.restore)}};
    };
    qmp::Json rows = qmp::Json::array();
    for (const BenchRow& row : result.rows) {
        qmp::Json entry = rates(row.rates);
        entry["multifd-channels"] = row.channels;
        entry["direct-io"] = row.direct;
        rows.push_back(std::move(entry));
    }
    const BenchAdvice advice = bench_advice(result);
    qmp::Json raw{{"buffered", rates(result.raw_buffered)}};
    if (result.has_direct)
        raw["direct"] = rates(result.raw_direct);
    return {{"folder", result.folder},
            {"file-system", result.file_system},
            {"guest-bytes", result.guest_bytes},
            {"rounds", result.rounds},
            {"raw", std::move(raw)},
            {"runs", std::move(rows)},
            {"advice",
             {{"multifd-channels", advice.channels},
              {"direct-io", advice.direct},
              {"text", advice.sentence}}}};
}

} // namespace mfd::ctl
