#include "qmp/ctl/map_json.hpp"

#include "qmp/map/block_kinds.hpp"

#include <utility>

namespace mfd::ctl {

namespace {

void put_counts(qmp::Json& out, const map::KindCounts& counts) {
    for (const map::Kind kind : map::kAllKinds)
        out[map::kind_name(kind)] = counts[kind];
    out["num-pages"] = counts.total();
}

} // namespace

Result<qmp::Json> map_json(const MapSubject& subject) {
    qmp::Json out = {{"file", subject.saved.file().path()}, {"blocks", qmp::Json::array()}};
    if (subject.other != nullptr)
        out["against"] = subject.other->file().path();
    map::KindCounts totals;
    for (const DecodedBlock* const block : subject.blocks) {
        qmp::Json entry = {{"name", block->layout.idstr}, {"runs", qmp::Json::array()}};
        map::KindCounts counts;
        MFD_CHECK(map::for_each_kind(
            subject.saved, *block, subject.other, [&](const map::KindRun& run) -> Result<void> {
                counts.add(run.kind, run.pages.count);
                entry["runs"].push_back(
                    {map::kind_name(run.kind), run.pages.first, run.pages.count});
                return {};
            }));
        put_counts(entry, counts);
        totals.add(counts);
        out["blocks"].push_back(std::move(entry));
    }
    put_counts(out, totals);
    return Result<qmp::Json>(boost::system::in_place_value, std::move(out));
}

} // namespace mfd::ctl
