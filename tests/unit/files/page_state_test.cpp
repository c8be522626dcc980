#include "qmp/files/page_state.hpp"

#include "qmp/files/block_survey.hpp"
#include "qmp/files/verification.hpp"
#include "tests/unit/files/saved_guest.hpp"

#include <catch2/catch_test_macros.hpp>

using mfd::PageRun;
using mfd::Result;
using mfd::files::PageState;
using mfd::files::SavedFile;
using mfd::files::StateRun;
using mfd::test::SavedGuest;

namespace {

std::vector<StateRun> runs_of(const SavedFile& saved, std::optional<PageRun> within = {}) {
    std::vector<StateRun> runs;
    const auto walked = mfd::files::for_each_run(
        saved, saved.blocks()[0],
        [&](const StateRun& run) -> Result<void> {
            runs.push_back(run);
            return {};
        },
        within);
    REQUIRE(walked.has_value());
    return runs;
}

const std::vector<std::byte> kData(mfd::kPageSize, std::byte{1});
const std::vector<std::byte> kZeros(mfd::kPageSize, std::byte{0});

} // namespace

TEST_CASE("runs are stored by the bitmap and zero elsewhere", "[page_state]") {
    const SavedGuest guest;
    const auto saved = SavedFile::open(guest.path());
    REQUIRE(saved.has_value());
    CHECK(runs_of(*saved) == std::vector<StateRun>{{PageState::Zero, {0, 700}},
                                                   {PageState::Stored, {700, 400}},
                                                   {PageState::Zero, {1100, 400}}});
}

TEST_CASE("a slot with data and a clear bit is stale, one with zeros is not", "[page_state]") {
    const SavedGuest guest;
    for (const std::uint64_t page : {0U, 10U, 11U, 699U, 1100U, 1499U})
        guest.put_slot(page, kData);
    for (const std::uint64_t page : {1U, 9U, 12U, 1200U})
        guest.put_slot(page, kZeros);
    const auto saved = SavedFile::open(guest.path());
    REQUIRE(saved.has_value());
    CHECK(runs_of(*saved) == std::vector<StateRun>{{PageState::Stale, {0, 1}},
                                                   {PageState::Zero, {1, 9}},
                                                   {PageState::Stale, {10, 2}},
                                                   {PageState::Zero, {12, 687}},
                                                   {PageState::Stale, {699, 1}},
                                                   {PageState::Stored, {700, 400}},
                                                   {PageState::Stale, {1100, 1}},
                                                   {PageState::Zero, {1101, 398}},
                                                   {PageState::Stale, {1499, 1}}});
    const auto counts = mfd::files::count_pages(*saved, saved->blocks()[0]);
    CHECK(*counts == mfd::files::PageCounts{400, 1094, 6});
}

TEST_CASE("a part of a block has the runs of that part", "[page_state]") {
    const SavedGuest guest;
    guest.put_slot(10, kData);
    const auto saved = SavedFile::open(guest.path());
    REQUIRE(saved.has_value());
    CHECK(runs_of(*saved, PageRun{10, 691}) ==
          std::vector<StateRun>{{PageState::Stale, {10, 1}},
                                {PageState::Zero, {11, 689}},
                                {PageState::Stored, {700, 1}}});
    CHECK(runs_of(*saved, PageRun{5, 0}).empty());
}

TEST_CASE("an error of the visitor ends the walk", "[page_state]") {
    const SavedGuest guest;
    const auto saved = SavedFile::open(guest.path());
    REQUIRE(saved.has_value());
    int visited = 0;
    const auto walked =
        mfd::files::for_each_run(*saved, saved->blocks()[0], [&](const StateRun&) -> Result<void> {
            ++visited;
            return mfd::bad_argument("enough");
        });
    REQUIRE_FALSE(walked.has_value());
    CHECK(walked.error().what == "enough");
    CHECK(visited == 1);
}

TEST_CASE("a file that is cut is refused, or shown up to there", "[saved_file]") {
    const SavedGuest guest;
    guest.truncate(guest.plan().blocks[1].pages_offset.value);
    CHECK_FALSE(SavedFile::open(guest.path()).has_value());
    const auto saved = SavedFile::open(guest.path(), {std::nullopt, mfd::files::Damaged::Show});
    REQUIRE(saved.has_value());
    CHECK(saved->problem().has_value());
    CHECK_FALSE(saved->stream_is_sound());
    CHECK(saved->find_block("a") == &saved->blocks()[0]);
    CHECK(runs_of(*saved).size() == 3);
}

TEST_CASE("of a block that the file ends in nothing is known", "[saved_file]") {
    const SavedGuest guest;
    guest.truncate(guest.plan().blocks[0].pages_offset.value + mfd::kPageSize);
    const auto saved = SavedFile::open(guest.path(), {std::nullopt, mfd::files::Damaged::Show});
    REQUIRE(saved.has_value());
    REQUIRE(saved->blocks().size() == 1);
    CHECK_FALSE(mfd::files::has_bitmap(saved->blocks()[0]));
    CHECK(runs_of(*saved).empty());
    CHECK(mfd::files::survey_block(*saved, saved->blocks()[0], {true, true}).has_value());
}

TEST_CASE("verdicts tell intact from changed pages", "[verification]") {
    const SavedGuest guest;
    const auto intact = mfd::files::verify_file(guest.path(), {});
    REQUIRE(intact.has_value());
    CHECK(intact->verdict == mfd::files::Verdict::Intact);
    CHECK(intact->pages_read == SavedGuest::kStored + 1);
    guest.put_slot(1000, kData);
    const auto changed = mfd::files::verify_file(guest.path(), {});
    REQUIRE(changed.has_value());
    CHECK(changed->verdict == mfd::files::Verdict::Damaged);
    CHECK(changed->problem->what.find("block a, page 1000, at 0x") == 0);
}
