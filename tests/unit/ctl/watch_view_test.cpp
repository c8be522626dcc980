#include "qmp/ctl/watch_view.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <string>

using namespace mfd::ctl;
using mfd::qmp::Json;
using std::chrono::milliseconds;

namespace {

const Json kRunning{{"status", "running"}, {"running", true}};

Json saving(std::uint64_t transferred, unsigned channels) {
    Json info = Json::parse(R"({
      "status": "active", "total-time": 4000, "expected-downtime": 120,
      "ram": {"total": 4194304, "remaining": 1048576, "dirty-sync-count": 3, "page-size": 4096,
              "dirty-pages-rate": 256}})");
    info["ram"]["transferred"] = transferred;
    for (unsigned id = 0; id < channels; ++id)
        info["x-multifd"]["channels"].push_back({{"id", id},
                                                 {"bytes", transferred / channels * (id + 1)},
                                                 {"latency-us", {{"p99", 900 + id}}}});
    return info;
}

// A save of several channels that was looked at for two seconds.
WatchFacts facts_of_save(unsigned channels) {
    WatchModel model;
    model.set_name(Json{{"name", "db\x1b"}});
    for (unsigned look = 0; look < 9; ++look) {
        auto info = saving(look * 262144, channels);
        info["total-time"] = 4000 + look * 250;
        model.update(kRunning, info, milliseconds(look * 250));
    }
    return model.facts();
}

std::vector<std::string> text_of(const WatchFacts& facts, const std::string& problem,
                                 const Surface& surface) {
    std::vector<std::string> lines;
    for (const auto& line : watch_screen(facts, problem, surface))
        lines.push_back(plain(line));
    return lines;
}

bool any_contains(const std::vector<std::string>& lines, const std::string& part) {
    for (const auto& line : lines)
        if (line.find(part) != std::string::npos)
            return true;
    return false;
}

} // namespace

TEST_CASE("the screen fills every size exactly", "[ctl]") {
    const auto columns = GENERATE(1U, 20U, 39U, 40U, 69U, 80U, 200U);
    const auto rows = GENERATE(1U, 2U, 9U, 10U, 11U, 14U, 24U, 50U);
    const auto channels = GENERATE(0U, 1U, 8U, 255U);
    const auto glyphs = GENERATE(Glyphs::Ascii, Glyphs::Unicode);
    const auto lines =
        watch_screen(facts_of_save(channels), "no reply for 3 s", {columns, rows, glyphs});
    CHECK(lines.size() == rows);
    for (const auto& line : lines)
        CHECK(columns_of(line) <= columns);
}

TEST_CASE("a save at 80x24 shows job, rates, plot and channels", "[ctl]") {
    const auto lines = text_of(facts_of_save(4), "", {80, 24, Glyphs::Ascii});
    CHECK(lines[0].starts_with("multifdctl watch  db?  guest running "));
    CHECK(lines[0].ends_with("6.00 s"));
    CHECK(lines[2] == "save  active  pass 3");
    CHECK(lines[3].find("  75 %  of 4.00 MiB") != std::string::npos);
    CHECK(lines[4] == "throughput   1.00 MiB/s   dirty rate   1.00 MiB/s");
    CHECK(lines[5] == "remaining      1.00 MiB   downtime        ~120 ms");
    CHECK(any_contains(lines, "1.00 MiB/s |"));
    CHECK(any_contains(lines, "channels"));
    CHECK(any_contains(lines, "  3 ##"));
    CHECK(any_contains(lines, "p99     903 us"));
    CHECK(lines[23] == "q quit; the job goes on");
}

TEST_CASE("channels that find no room are counted", "[ctl]") {
    CHECK(any_contains(text_of(facts_of_save(255), "", {80, 24, Glyphs::Ascii}), " more"));
    CHECK_FALSE(any_contains(text_of(facts_of_save(8), "", {200, 50, Glyphs::Ascii}), " more"));
}

TEST_CASE("what QEMU does not tell is left out", "[ctl]") {
    auto facts = facts_of_save(0);
    CHECK_FALSE(any_contains(text_of(facts, "", {80, 24, Glyphs::Ascii}), "channels"));
    WatchModel load;
    load.update(Json{{"status", "inmigrate"}}, Json{{"status", "active"}}, milliseconds(0));
    const auto lines = text_of(load.facts(), "", {80, 24, Glyphs::Ascii});
    CHECK(lines[2] == "restore  active");
    CHECK(lines[3].empty());
}

TEST_CASE("what keeps a save from ending is said, with what to do", "[ctl]") {
    auto info = saving(0, 1);
    const auto line_of = [&](const Json& now) {
        WatchModel model;
        model.update(kRunning, now, milliseconds(0));
        return text_of(model.facts(), "", {80, 24, Glyphs::Ascii})[2];
    };
    info["x-not-converging"] = {{"looks", 3}};
    info["cpu-throttle-percentage"] = 20;
    CHECK(line_of(info) == "save  active  pass 3  guest throttled 20 %  does not converge");
    info["x-waits-for-stop"] = true;
    CHECK(line_of(info).find("multifdctl pause") != std::string::npos);
    info["status"] = "pre-switchover";
    CHECK(line_of(info).find("multifdctl resume") != std::string::npos);
}

TEST_CASE("a silent server is named in the last line, which still says how to leave", "[ctl]") {
    const auto lines = text_of(facts_of_save(1), "no reply for 3 s", {40, 10, Glyphs::Ascii});
    CHECK(lines[9] == "no reply for 3 s                  q quit");
    const auto before = text_of({}, "", {80, 24, Glyphs::Ascii});
    CHECK(before[2] == "asking the server");
}

TEST_CASE("a load's numbers come from the member that multifdd has for it", "[ctl]") {
    WatchModel model;
    Json info{{"status", "active"}};
    info["x-multifd"]["ram"] = {{"total", 8192}, {"remaining", 4096}, {"transferred", 4096}};
    model.update(Json{{"status", "inmigrate"}}, info, milliseconds(0));
    CHECK(model.facts().action == "restore");
    CHECK(model.facts().job.counts_known);
    CHECK(fraction_done(model.facts().job) == 0.5);
}

TEST_CASE("the next job begins a history of its own", "[ctl]") {
    WatchModel model;
    model.set_name(Json{{"name", "db"}});
    for (unsigned look = 0; look < 4; ++look)
        model.update(kRunning, saving(look * 4096, 2), milliseconds(look * 500));
    CHECK(model.facts().history.size() == 4);
    model.update(kRunning, Json{{"status", "completed"}}, milliseconds(2000));
    model.update(kRunning, saving(0, 2), milliseconds(2500));
    CHECK(model.facts().history.size() == 1);
    CHECK(model.facts().guest == "db");
}

TEST_CASE("the verdict says how a job ended", "[ctl]") {
    CHECK(verdict_of("save", Json::object()) == "no job has run");
    CHECK(verdict_of("save", Json{{"status", "cancelled"}}) == "save cancelled");
    CHECK(verdict_of("restore", Json{{"status", "failed"}, {"error-desc", "disk full"}}) ==
          "restore failed: disk full");
    CHECK(verdict_of("restore", Json{{"status", "completed"}}) == "restore completed");
    const auto saved = Json::parse(R"({"status": "completed", "total-time": 3200, "downtime": 83,
        "ram": {"total": 1073741824, "normal": 52744, "duplicate": 217261}})");
    CHECK(verdict_of("save", saved) == "save completed in 3.20 s: 1.00 GiB, 52 744 pages stored, "
                                       "217 261 zero, downtime 83 ms");
}
