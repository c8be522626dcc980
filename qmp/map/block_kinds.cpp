#include "qmp/map/block_kinds.hpp"

#include "qmp/files/difference.hpp"
#include "qmp/files/page_state.hpp"

#include <algorithm>
#include <vector>

namespace mfd::map {

namespace {

Kind kind_of(files::PageState state) {
    switch (state) {
    case files::PageState::Stored:
        return Kind::Stored;
    case files::PageState::Zero:
        return Kind::Zero;
    case files::PageState::Stale:
        return Kind::Stale;
    }
    return Kind::Zero;
}

Result<std::vector<PageRun>> differences(const files::SavedFile& saved, const DecodedBlock& block,
                                         const files::SavedFile& other) {
    std::vector<PageRun> runs;
    const DecodedBlock* const twin = other.find_block(block.layout.idstr);
    const std::uint64_t both =
        twin == nullptr ? 0 : std::min(block.layout.pages(), twin->layout.pages());
    if (twin != nullptr)
        MFD_CHECK(files::for_each_difference({saved, block}, {other, *twin},
                                             [&](PageRun run) -> Result<void> {
                                                 runs.push_back(run);
                                                 return {};
                                             }));
    if (both < block.layout.pages())
        runs.push_back({both, block.layout.pages() - both});
    return runs;
}

} // namespace

Result<void> for_each_kind(const files::SavedFile& saved, const DecodedBlock& block,
                           const files::SavedFile* other, const KindVisitor& visit) {
    std::vector<PageRun> differing;
    if (other != nullptr) {
        MFD_TRY(differing, differences(saved, block, *other));
    }
    auto next = differing.begin();
    // A run of differing pages is visited once, whatever states lie below it.
    return files::for_each_run(saved, block, [&](const files::StateRun& run) -> Result<void> {
        for (std::uint64_t at = run.pages.first; at < run.pages.end();) {
            while (next != differing.end() && next->end() <= at)
                ++next;
            const bool none = next == differing.end() || next->first >= run.pages.end();
            const std::uint64_t same_end = none ? run.pages.end() : std::max(next->first, at);
            if (same_end > at)
                MFD_CHECK(visit({kind_of(run.state), {at, same_end - at}}));
            if (none)
                break;
            if (next->first >= run.pages.first)
                MFD_CHECK(visit({Kind::Differs, *next}));
            at = std::min(next->end(), run.pages.end());
        }
        return {};
    });
}

} // namespace mfd::map
