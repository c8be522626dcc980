#include "qmp/ctl/top_view.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace mfd::ctl;
using mfd::qmp::Json;
using std::chrono::milliseconds;

namespace {

const Json kSaving = Json::parse(R"({
  "query-status": {"status": "running", "running": true},
  "query-memdev": [{"size": 1048576}, {"size": 3145728}],
  "query-migrate": {"status": "active", "total-time": 2000,
    "ram": {"total": 4194304, "remaining": 1048576, "transferred": 2097152}}})");

std::vector<InstanceState> some() {
    InstanceState gone;
    gone.name = "gone";
    gone.problem = "nothing listens there";
    return {instance_state({"db", "/run/db.qmp", {}}, kSaving), gone};
}

} // namespace

TEST_CASE("a guest's read-only socket is looked at, and counts as the same guest", "[ctl]") {
    const auto found = instances_among(
        "/run", {"b.qmp", "a-ro.qmp", "a.qmp", "c-ro.qmp", ".qmp", "a.metrics", "notes.txt"});
    REQUIRE(found.size() == 3);
    CHECK(found[0].name == "a");
    CHECK(found[0].path == "/run/a-ro.qmp");
    CHECK(found[0].fallback == "/run/a.qmp");
    CHECK(found[1].name == "b");
    CHECK(found[1].path == "/run/b.qmp");
    CHECK(found[1].fallback.empty());
    CHECK(found[2].name == "c-ro");
}

TEST_CASE("the table has a line for each guest, reached or not", "[ctl]") {
    const auto lines = top_table(some(), {80, 24, Glyphs::Ascii});
    REQUIRE(lines.size() == 3);
    CHECK(plain(lines[0]) ==
          "GUEST  STATE                 RAM  JOB                 DONE          RATE");
    CHECK(plain(lines[1]) ==
          "db     running          4.00 MiB  save active         75 %    1.00 MiB/s");
    CHECK(plain(lines[2]) == "gone   not reached: nothing listens there");
}

TEST_CASE("a job whose size is not known yet has no share, and one that failed is marked",
          "[ctl]") {
    Json early = kSaving;
    early["query-migrate"] = Json{{"status", "setup"}};
    Json failed = kSaving;
    failed["query-migrate"]["status"] = "failed";
    const auto lines = top_table({instance_state({"db", "/run/db.qmp", {}}, early),
                                  instance_state({"web", "/run/web.qmp", {}}, failed)},
                                 {80, 24, Glyphs::Ascii});
    REQUIRE(lines.size() == 3);
    CHECK(plain(lines[1]) ==
          "db     running          4.00 MiB  save setup             ?         0 B/s");
    CHECK(plain(lines[2]).ends_with("save failed       "));
    CHECK(lines[2].back().style == Style::Bad);
}

TEST_CASE("a wide terminal has room for a bar", "[ctl]") {
    CHECK(plain(top_table(some(), {120, 24, Glyphs::Ascii})[1]).ends_with("  #########---"));
}

TEST_CASE("the live table fills every size exactly and counts what it hides", "[ctl]") {
    const auto columns = GENERATE(1U, 40U, 80U, 200U);
    const auto rows = GENERATE(1U, 4U, 5U, 6U, 24U);
    std::vector<InstanceState> many;
    for (int copy = 0; copy < 30; ++copy)
        for (const auto& one : some())
            many.push_back(one);
    const auto lines = top_screen(many, "/run/multifdd", {columns, rows, Glyphs::Unicode});
    CHECK(lines.size() == rows);
    for (const auto& line : lines)
        CHECK(columns_of(line) <= columns);
}

TEST_CASE("the live table sums up, and says how many are hidden", "[ctl]") {
    std::vector<InstanceState> many(30, some()[0]);
    const auto lines = top_screen(many, "/run/multifdd", {80, 24, Glyphs::Ascii});
    CHECK(plain(lines[0]).ends_with("30 guests, 30 jobs, 0 not reached"));
    CHECK(plain(lines[22]) == "and 11 more");
    CHECK(plain(lines[23]) == "q quit");
    CHECK(
        plain(top_screen({}, "/run", {80, 24, Glyphs::Ascii})[3]).starts_with("no sockets there"));
}

TEST_CASE("a rate is what was moved between two looks at the same job", "[ctl]") {
    auto before = some()[0];
    auto now = before;
    now.transferred += 4096;
    update_rate(now, before, milliseconds(500));
    CHECK(now.bytes_per_second == 8192);
    before.job_status = "completed"; // another job than now
    now.bytes_per_second = 1;
    update_rate(now, before, milliseconds(500));
    CHECK(now.bytes_per_second == 1);
}

TEST_CASE("an instance as JSON has what is known and no more", "[ctl]") {
    CHECK(to_json(some()[0]) == Json{{"name", "db"},
                                     {"socket", "/run/db.qmp"},
                                     {"status", "running"},
                                     {"ram-bytes", 4194304},
                                     {"job",
                                      {{"kind", "save"},
                                       {"status", "active"},
                                       {"progress", 0.75},
                                       {"bytes-per-second", 1048576}}}});
    CHECK(to_json(some()[1]) ==
          Json{{"name", "gone"}, {"socket", ""}, {"problem", "nothing listens there"}});
}
