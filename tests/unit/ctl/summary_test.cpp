#include "qmp/ctl/summary.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace mfd::ctl;
using mfd::qmp::Json;

namespace {

const Json kCompleted = Json::parse(R"({
  "status": "completed", "total-time": 500, "downtime": 12, "setup-time": 1,
  "ram": {"total": 8388608, "normal": 1024, "normal-bytes": 4194304, "duplicate": 1024,
          "transferred": 4194304, "dirty-sync-count": 2, "remaining": 0}})");

} // namespace

TEST_CASE("the summary of a save gives pages, bytes, rate and downtime", "[ctl]") {
    CHECK(save_summary("ram.mig", kCompleted, true) ==
          "saved to ram.mig in 500 ms\n"
          "  memory     8.00 MiB: 1 024 pages stored (4.00 MiB), 1 024 zero\n"
          "  written    4.00 MiB, 8.00 MiB/s, direct, 2 passes\n"
          "  downtime   12 ms\n");
}

TEST_CASE("a save that took no time has no rate", "[ctl]") {
    auto info = kCompleted;
    info["total-time"] = 0;
    CHECK(save_summary("f", info, false).find("4.00 MiB, 0 B/s, buffered") != std::string::npos);
}

TEST_CASE("the summary of a restore does without numbers where there are none", "[ctl]") {
    CHECK(restore_summary("ram.mig", Json{{"status", "completed"}}, std::chrono::milliseconds(7),
                          false) == "restored from ram.mig in 7 ms, buffered\n");
}

TEST_CASE("the summary of a restore counts pages where the server does", "[ctl]") {
    CHECK(restore_summary("ram.mig", kCompleted, std::chrono::milliseconds(7), true) ==
          "restored from ram.mig in 7 ms, direct\n"
          "  memory     8.00 MiB: 1 024 pages stored (4.00 MiB), 1 024 zero\n");
}

TEST_CASE("a guest that runs in another state says both", "[ctl]") {
    CHECK(status_text(Json{{"query-status", {{"status", "debug"}, {"running", true}}},
                           {"query-migrate", Json::object()}})
              .starts_with("  guest      debug (runs)\n"));
}

TEST_CASE("the status names guest, server, job and memory", "[ctl]") {
    const Json all{
        {"query-status", {{"status", "postmigrate"}, {"running", false}}},
        {"query-name", {{"name", "vm1"}}},
        {"query-version", {{"qemu", {{"major", 10}, {"minor", 0}, {"micro", 2}}}, {"package", ""}}},
        {"query-migrate", kCompleted},
        {"query-memdev", {{{"id", "ram"}, {"size", 8388608}, {"share", true}}}}};
    CHECK(status_text(all) == "  guest      vm1, postmigrate\n"
                              "  server     QEMU 10.0.2\n"
                              "  migration  completed in 500 ms\n"
                              "  memory     8.00 MiB: 1 024 pages stored (4.00 MiB), 1 024 zero\n"
                              "  backend    ram, 8.00 MiB, shared\n");
}

TEST_CASE("the status of a failed job has its reason", "[ctl]") {
    const Json all{{"query-status", {{"status", "running"}, {"running", true}}},
                   {"query-migrate", {{"status", "failed"}, {"error-desc", "disk full"}}}};
    CHECK(status_text(all) == "  guest      running\n"
                              "  migration  failed: disk full\n");
}

TEST_CASE("the status of a running job shows how far it is", "[ctl]") {
    const Json all{
        {"query-status", {{"status", "running"}, {"running", true}}},
        {"query-migrate",
         {{"status", "active"},
          {"total-time", 1000},
          {"ram", {{"total", 8388608}, {"remaining", 4194304}, {"transferred", 4194304}}}}}};
    CHECK(status_text(all).find("  migration  active: 50 %, 4.00 MiB of 8.00 MiB, 4.00 MiB/s") !=
          std::string::npos);
}

TEST_CASE("odd replies do not upset the status", "[ctl]") {
    CHECK(status_text(Json{{"query-status", 5},
                           {"query-name", nullptr},
                           {"query-migrate", Json::array()},
                           {"query-memdev", {1, {{"id", 2}}}}}) ==
          "  guest      \n"
          "  migration  none\n"
          "  backend    (no id), 0 B, private\n");
}
