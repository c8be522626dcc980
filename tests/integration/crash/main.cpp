// Replays the trace of a save as power cuts leave it, and restores each of the files.
//
//   crash_replay SPEC.json
//
// The specification: `trace` and the `target` in it; `base`, a copy of the target from before the
// save ("": there was none), and `result`, one from after it; `offset` of the stream; `blocks`,
// each with its `name` and the files `before` ("": not saved before) and `after` with its memory at
// the saves; `durable`, `ignore_syncs`, `seed`, `reorderings`: see Rules; `scratch`, a folder in
// memory; `keep`, where to put a copy of the first state that is accepted wrongly. Prints what was
// counted, as JSON. Exit status 1: something is wrong with the specification.
#include "crash_states.hpp"
#include "disk.hpp"
#include "judge.hpp"
#include "trace.hpp"

#include "proto/plan.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

namespace mfd::crash {

namespace {

std::vector<std::byte> content_of(const std::string& path) {
    if (path.empty())
        return {};
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const auto view = std::as_bytes(std::span(bytes));
    return {view.begin(), view.end()};
}

std::uint64_t longest(const std::vector<Op>& ops, std::uint64_t base_bytes) {
    std::uint64_t bytes = base_bytes;
    for (const Op& op : ops)
        bytes = std::max(bytes, op.end());
    return (bytes + kPageSize - 1) / kPageSize * kPageSize;
}

nlohmann::json report(const std::vector<Op>& ops, const CrashStates& states) {
    const auto number = [&](OpKind kind) { return std::ranges::count(ops, kind, &Op::kind); };
    const Counts& counts = states.counts();
    const auto outcome = [&](Outcome of) { return counts.outcomes[static_cast<std::size_t>(of)]; };
    return {{"writes", number(OpKind::Write)},
            {"syncs", number(OpKind::Sync)},
            {"cuts", counts.cuts},
            {"torn", counts.torn},
            {"reorderings", counts.reorderings},
            {"absent", outcome(Outcome::Absent)},
            {"refused", outcome(Outcome::Refused)},
            {"old", outcome(Outcome::Old)},
            {"new", outcome(Outcome::New)},
            {"wrong", counts.wrong},
            {"findings", states.findings()}};
}

Result<std::string> replay(const nlohmann::json& spec) {
    const std::string base_path = spec.at("base");
    Rules rules;
    rules.existed = !base_path.empty();
    rules.durable = spec.at("durable");
    rules.ignore_syncs = spec.at("ignore_syncs");
    rules.seed = spec.at("seed");
    rules.reorderings = spec.at("reorderings");

    MFD_TRY(const std::vector<Op> ops,
            read_trace(spec.at("trace"), spec.at("target"), rules.existed));
    const std::vector<std::byte> base = content_of(base_path);
    MFD_TRY(Disk disk, Disk::make(spec.at("scratch").get<std::string>() + "/state.mig", base,
                                  longest(ops, base.size())));
    std::vector<BlockContent> blocks;
    for (const nlohmann::json& block : spec.at("blocks"))
        blocks.push_back(
            {block.at("name"), content_of(block.at("before")), content_of(block.at("after"))});
    MFD_TRY(Judge judge, Judge::make(std::move(blocks), spec.at("offset")));

    CrashStates states(ops, std::move(disk), judge, rules, spec.at("keep"));
    // Otherwise all that follows would be about something else.
    if (!std::ranges::equal(states.whole(), content_of(spec.at("result"))))
        return Error{Errc::BadFormat, "the trace does not lead to the file that the save left"};
    states.run();
    return report(ops, states).dump();
}

} // namespace

} // namespace mfd::crash

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: crash_replay SPEC.json\n", stderr);
        return 2;
    }
    std::ifstream in(argv[1]);
    const auto result = mfd::crash::replay(nlohmann::json::parse(in));
    if (!result.has_value()) {
        std::fprintf(stderr, "crash_replay: %s\n", result.error().what.c_str());
        return 1;
    }
    std::puts(result->c_str());
    return 0;
}
