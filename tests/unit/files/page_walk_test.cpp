#include "qmp/files/difference.hpp"
#include "qmp/files/page_walk.hpp"
#include "tests/unit/files/saved_guest.hpp"

#include <catch2/catch_test_macros.hpp>

using mfd::PageIndex;
using mfd::PageRun;
using mfd::Result;
using mfd::files::SavedFile;
using mfd::test::SavedGuest;

namespace {

// What the walk gave: every page's first byte, which fills it.
class Recorder final : public mfd::files::PageSink {
public:
    std::vector<int> values;
    std::vector<PageRun> zero_runs;

    Result<void> data(PageIndex first, std::span<const std::byte> pages) override {
        CHECK(first.value == next_);
        for (; !pages.empty(); pages = pages.subspan(mfd::kPageSize), ++next_)
            values.push_back(std::to_integer<int>(pages.front()));
        return {};
    }
    Result<void> zeros(PageRun run) override {
        CHECK(run.first == next_);
        zero_runs.push_back(run);
        values.resize(values.size() + run.count, 0);
        next_ = run.end();
        return {};
    }
    void begin_at(std::uint64_t page) { next_ = page; }

private:
    std::uint64_t next_ = 0;
};

std::vector<int> values_of_a(PageRun pages) {
    std::vector<int> values;
    for (std::uint64_t page = pages.first; page < pages.end(); ++page)
        values.push_back(page >= 700 && page < 1100 ? static_cast<int>(page % 251) : 0);
    return values;
}

std::vector<PageRun> differences(const SavedGuest& one, const SavedGuest& two) {
    const auto a = SavedFile::open(one.path());
    const auto b = SavedFile::open(two.path());
    REQUIRE(a.has_value());
    REQUIRE(b.has_value());
    std::vector<PageRun> runs;
    REQUIRE(mfd::files::for_each_difference({*a, a->blocks()[0]}, {*b, b->blocks()[0]},
                                            [&](PageRun run) -> Result<void> {
                                                runs.push_back(run);
                                                return {};
                                            })
                .has_value());
    return runs;
}

} // namespace

TEST_CASE("a walk gives each page once and in order, zeros apart from data", "[page_walk]") {
    const SavedGuest guest;
    const auto saved = SavedFile::open(guest.path());
    REQUIRE(saved.has_value());
    for (const PageRun within : {PageRun{0, 1500}, PageRun{699, 2}, PageRun{753, 1},
                                 PageRun{701, 300}, PageRun{1099, 2}, PageRun{1200, 0}}) {
        CAPTURE(within.first, within.count);
        Recorder recorder;
        recorder.begin_at(within.first);
        REQUIRE(mfd::files::walk_pages(*saved, saved->blocks()[0], within, recorder).has_value());
        CHECK(recorder.values == values_of_a(within));
    }
}

TEST_CASE("a stored page that is zero is given as zeros", "[page_walk]") {
    const SavedGuest guest;
    const auto saved = SavedFile::open(guest.path());
    REQUIRE(saved.has_value());
    Recorder a;
    a.begin_at(700);
    REQUIRE(mfd::files::walk_pages(*saved, saved->blocks()[0], {700, 400}, a).has_value());
    CHECK(a.zero_runs == std::vector<PageRun>{{753, 1}, {1004, 1}}); // 3 * 251, 4 * 251
    Recorder b;
    REQUIRE(mfd::files::walk_pages(*saved, saved->blocks()[1], {0, 1}, b).has_value());
    CHECK(b.zero_runs == std::vector<PageRun>{{0, 1}});
}

TEST_CASE("a changed page ends a walk that passes it, unless checksums are ignored",
          "[page_walk]") {
    const SavedGuest guest;
    guest.put_slot(800, std::vector<std::byte>(mfd::kPageSize, std::byte{99}));
    const auto saved = SavedFile::open(guest.path());
    REQUIRE(saved.has_value());
    Recorder before;
    CHECK(mfd::files::walk_pages(*saved, saved->blocks()[0], {0, 800}, before).has_value());
    Recorder over;
    const auto walked = mfd::files::walk_pages(*saved, saved->blocks()[0], {0, 801}, over);
    REQUIRE_FALSE(walked.has_value());
    CHECK(walked.error().code == mfd::Errc::BadFormat);
    CHECK(walked.error().what.find("page 800") != std::string::npos);
    const auto unchecked = SavedFile::open(
        guest.path(), {std::nullopt, mfd::files::Damaged::Refuse, mfd::files::Checksums::Ignore});
    REQUIRE(unchecked.has_value());
    Recorder all;
    CHECK(mfd::files::walk_pages(*unchecked, unchecked->blocks()[0], {0, 801}, all).has_value());
    CHECK(all.values.back() == 99);
}

TEST_CASE("slots of no use between stored pages do not show", "[saved_file]") {
    const SavedGuest guest;
    guest.put_slot(699, std::vector<std::byte>(mfd::kPageSize, std::byte{99}));
    const auto saved = SavedFile::open(guest.path());
    REQUIRE(saved.has_value());
    std::vector<std::byte> bytes(4 * mfd::kPageSize, std::byte{77});
    REQUIRE(saved->read_pages(saved->blocks()[0], PageIndex(698), bytes).has_value());
    CHECK(bytes[0] == std::byte{0});
    CHECK(bytes[mfd::kPageSize] == std::byte{0});
    CHECK(bytes[2 * mfd::kPageSize] == std::byte{700 % 251});
    REQUIRE(saved->read_slots(saved->blocks()[0], PageIndex(698), bytes).has_value());
    CHECK(bytes[mfd::kPageSize] == std::byte{99});
}

TEST_CASE("equal guests do not differ, changed pages do, in runs", "[difference]") {
    const SavedGuest one;
    const SavedGuest two;
    CHECK(differences(one, two).empty());
    for (const std::uint64_t page : {700U, 710U, 711U, 827U, 828U, 1099U})
        two.put_page(page, std::byte{252});
    two.put_slot(5, std::vector<std::byte>(mfd::kPageSize, std::byte{1})); // stale
    const std::vector<PageRun> wanted{{700, 1}, {710, 2}, {827, 2}, {1099, 1}};
    CHECK(differences(one, two) == wanted);
    CHECK(differences(two, one) == wanted);
}
