#include "qmp/map/block_kinds.hpp"

#include "tests/unit/files/saved_guest.hpp"

#include <catch2/catch_test_macros.hpp>

using mfd::map::Kind;
using mfd::map::KindRun;

namespace {

std::vector<KindRun> kinds(const mfd::test::SavedGuest& guest, const mfd::test::SavedGuest* other) {
    const auto a = mfd::files::SavedFile::open(guest.path());
    REQUIRE(a.has_value());
    std::vector<KindRun> out;
    const auto collect = [&](const KindRun& run) -> mfd::Result<void> {
        out.push_back(run);
        return {};
    };
    if (other == nullptr) {
        REQUIRE(mfd::map::for_each_kind(*a, a->blocks()[0], nullptr, collect).has_value());
        return out;
    }
    const auto b = mfd::files::SavedFile::open(other->path());
    REQUIRE(b.has_value());
    REQUIRE(mfd::map::for_each_kind(*a, a->blocks()[0], &*b, collect).has_value());
    return out;
}

} // namespace

TEST_CASE("pages are stored, zero or stale", "[map]") {
    const mfd::test::SavedGuest guest;
    guest.put_slot(5, std::vector<std::byte>(2 * mfd::kPageSize, std::byte{7}));
    CHECK(kinds(guest, nullptr) == std::vector<KindRun>{{Kind::Zero, {0, 5}},
                                                        {Kind::Stale, {5, 2}},
                                                        {Kind::Zero, {7, 693}},
                                                        {Kind::Stored, {700, 400}},
                                                        {Kind::Zero, {1100, 400}}});
}

TEST_CASE("pages that differ are nothing else, within and across runs of states", "[map]") {
    const mfd::test::SavedGuest guest;
    const mfd::test::SavedGuest other;
    for (const std::uint64_t page : {700U, 701U, 900U, 1099U})
        other.put_page(page, std::byte{0xee});
    CHECK(kinds(guest, &other) == std::vector<KindRun>{{Kind::Zero, {0, 700}},
                                                       {Kind::Differs, {700, 2}},
                                                       {Kind::Stored, {702, 198}},
                                                       {Kind::Differs, {900, 1}},
                                                       {Kind::Stored, {901, 198}},
                                                       {Kind::Differs, {1099, 1}},
                                                       {Kind::Zero, {1100, 400}}});
}

TEST_CASE("a file does not differ from itself", "[map]") {
    const mfd::test::SavedGuest guest;
    CHECK(kinds(guest, &guest) == kinds(guest, nullptr));
}
