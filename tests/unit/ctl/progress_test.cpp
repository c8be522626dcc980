#include "qmp/ctl/progress.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace mfd::ctl;
using mfd::qmp::Json;
using std::chrono::milliseconds;

namespace {

ProgressSample half_done() {
    ProgressSample sample;
    sample.status = "active";
    sample.elapsed = milliseconds(1300);
    sample.counts_known = true;
    sample.total_bytes = std::uint64_t{2} << 30;
    sample.remaining_bytes = std::uint64_t{1} << 30;
    sample.bytes_per_second = 1610612736;
    return sample;
}

} // namespace

TEST_CASE("a sample takes its numbers from query-migrate", "[ctl]") {
    const auto sample = make_sample(
        Json{
            {"status", "active"},
            {"ram",
             {{"total", 1000}, {"remaining", 250}, {"transferred", 700}, {"dirty-sync-count", 3}}}},
        milliseconds(5));
    CHECK(sample.status == "active");
    CHECK(sample.counts_known);
    CHECK(fraction_done(sample) == 0.75);
    CHECK(sample.transferred_bytes == 700);
    CHECK(sample.pass == 3);
}

TEST_CASE("odd replies of query-migrate make a sample without numbers", "[ctl]") {
    for (const Json& info :
         {Json::object(), Json::array(), Json(nullptr), Json{{"status", 5}, {"ram", "x"}},
          Json{{"ram", {{"total", -1}, {"remaining", "y"}}}}}) {
        const auto sample = make_sample(info, milliseconds(5));
        CHECK(sample.status.empty());
        CHECK_FALSE(sample.counts_known);
        CHECK(fraction_done(sample) == 0);
    }
}

TEST_CASE("more remaining than there is counts as nothing done", "[ctl]") {
    const auto sample =
        make_sample(Json{{"ram", {{"total", 1000}, {"remaining", 5000}}}}, milliseconds(5));
    CHECK(fraction_done(sample) == 0);
}

TEST_CASE("the bar shows share, bytes, rate and time", "[ctl]") {
    CHECK(progress_bar("save", half_done(), 80, Colour::No) ==
          "save  [===========>          ]   50 %    1.00 GiB/2.00 GiB    1.50 GiB/s  1.30 s");
}

TEST_CASE("the bar fills the width it is given, up to a limit", "[ctl]") {
    CHECK(progress_bar("save", half_done(), 79, Colour::No).size() == 79);
    CHECK(progress_bar("save", half_done(), 1000, Colour::No).size() == 98);
}

TEST_CASE("the bar's end stays in its place while the numbers grow", "[ctl]") {
    auto early = half_done();
    early.remaining_bytes = early.total_bytes - 512;
    early.bytes_per_second = 5;
    early.elapsed = milliseconds(7);
    CHECK(progress_bar("save", early, 80, Colour::No).find(']') ==
          progress_bar("save", half_done(), 80, Colour::No).find(']'));
}

TEST_CASE("a narrow terminal keeps the numbers and loses the bar", "[ctl]") {
    CHECK(progress_bar("save", half_done(), 60, Colour::No) ==
          "save   50 %    1.00 GiB/2.00 GiB    1.50 GiB/s  1.30 s");
    CHECK(progress_bar("save", half_done(), 10, Colour::No) == "save   50 ");
    CHECK(progress_bar("save", half_done(), 0, Colour::No).empty());
}

TEST_CASE("a full bar has no head, an empty one nothing else", "[ctl]") {
    auto sample = half_done();
    sample.remaining_bytes = 0;
    CHECK(progress_bar("save", sample, 75, Colour::No).find("[=================]") !=
          std::string::npos);
    sample.remaining_bytes = sample.total_bytes;
    CHECK(progress_bar("save", sample, 75, Colour::No).find("[>") != std::string::npos);
}

TEST_CASE("colour adds only escape sequences to the bar", "[ctl]") {
    auto coloured = progress_bar("save", half_done(), 80, Colour::Yes);
    for (const std::string escape : {"\x1b[32m", "\x1b[0m"}) {
        const auto at = coloured.find(escape);
        REQUIRE(at != std::string::npos);
        coloured.erase(at, escape.size());
    }
    CHECK(coloured == progress_bar("save", half_done(), 80, Colour::No));
}

TEST_CASE("later passes are named", "[ctl]") {
    auto sample = half_done();
    sample.pass = 3;
    CHECK(progress_text("save", sample) ==
          "save: 50 %, 1.00 GiB of 2.00 GiB, 1.50 GiB/s, pass 3, 1.30 s");
    CHECK(progress_bar("save", sample, 100, Colour::No).find("  pass 3  ") != std::string::npos);
}

TEST_CASE("a job without numbers shows its status and time", "[ctl]") {
    ProgressSample sample;
    sample.status = "active";
    sample.elapsed = milliseconds(20);
    CHECK(progress_text("restore", sample) == "restore: active, 20 ms");
    CHECK(progress_bar("restore", sample, 80, Colour::Yes) == "restore  active  20 ms");
}

TEST_CASE("99.9 percent are not shown as all", "[ctl]") {
    auto sample = half_done();
    sample.remaining_bytes = 1;
    CHECK(progress_text("save", sample).starts_with("save: 99 %"));
}

TEST_CASE("plain lines come once per tenth, once per second at most", "[ctl]") {
    LinePacer pacer;
    auto sample = half_done();
    sample.elapsed = milliseconds(999);
    CHECK_FALSE(pacer.due(sample));
    sample.elapsed = milliseconds(1000);
    CHECK(pacer.due(sample));
    sample.elapsed = milliseconds(2500);
    CHECK_FALSE(pacer.due(sample)); // no news
    sample.remaining_bytes /= 2;
    CHECK(pacer.due(sample));
    sample.elapsed = milliseconds(12'499);
    CHECK_FALSE(pacer.due(sample));
    sample.elapsed = milliseconds(12'500);
    CHECK(pacer.due(sample)); // ten seconds without news
    sample.elapsed = milliseconds(13'500);
    sample.status = "device";
    CHECK(pacer.due(sample));
}

TEST_CASE("the rate is the average at first and that of the last second later", "[ctl]") {
    RateMeter meter;
    const auto at = [](int ms, std::uint64_t bytes) {
        ProgressSample sample;
        sample.elapsed = milliseconds(ms);
        sample.transferred_bytes = bytes;
        return sample;
    };
    CHECK(meter.update(at(0, 0)) == 0);
    CHECK(meter.update(at(500, 1000)) == 2000);
    CHECK(meter.update(at(1000, 3000)) == 3000);
    CHECK(meter.update(at(2000, 3500)) == 500);
    CHECK(meter.update(at(2500, 3500)) == 500.0 / 1.5);
    CHECK(meter.update(at(2600, 0)) == 0); // a new job, counted anew
}
