#include "daemon/run_control.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

using mfd::Result;
using mfd::RunControl;
using mfd::RunStatus;

namespace {

// Notes what the guest and the clients are told, in order.
struct Log {
    std::vector<std::string> lines;
    RunControl::Hooks hooks() {
        return {
            .emit = [this](std::string_view event) { lines.emplace_back(event); },
            .set_running = [this](bool running) { lines.emplace_back(running ? "go" : "halt"); },
            .may_run = [] { return Result<void>(); }};
    }
};

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("stop halts the guest before the event, cont resumes it", "[run_control]") {
    Log log;
    RunControl run(true, false, log.hooks());
    CHECK(run.status() == RunStatus::Prelaunch);
    run.stop();
    REQUIRE(run.cont().has_value());
    REQUIRE(run.cont().has_value());
    run.stop();
    CHECK(run.status() == RunStatus::Paused);
    CHECK(log.lines == Lines{"go", "RESUME", "halt", "STOP"});
}

TEST_CASE("a save that is given up lets a running guest run on", "[run_control]") {
    Log log;
    RunControl run(false, false, log.hooks());
    run.enter_finish_migrate();
    CHECK(run.status() == RunStatus::FinishMigrate);
    CHECK(run.status_to_save() == RunStatus::Running);
    CHECK(run.cont().error().what == "Migration is not finalized yet");
    run.give_up_save();
    CHECK(run.running());
    CHECK(log.lines == Lines{"halt", "STOP", "go", "RESUME"});
}

TEST_CASE("a stopped guest stays stopped through a save, without events", "[run_control]") {
    Log log;
    RunControl run(true, false, log.hooks());
    run.enter_finish_migrate();
    CHECK(run.status_to_save() == RunStatus::Prelaunch);
    run.give_up_save();
    CHECK(run.status() == RunStatus::Prelaunch);
    run.enter_finish_migrate();
    run.complete_save();
    CHECK(run.status() == RunStatus::Postmigrate);
    run.system_reset();
    CHECK(run.status() == RunStatus::Prelaunch);
    CHECK(log.lines.empty());
}

TEST_CASE("a loaded guest runs if it was saved running and may run", "[run_control]") {
    Log log;
    RunControl waiting(false, true, log.hooks());
    waiting.complete_load(RunStatus::Running);
    CHECK(waiting.running());
    CHECK(log.lines == Lines{"go", "RESUME"});

    RunControl paused(true, true, log.hooks());
    paused.complete_load(RunStatus::Running);
    CHECK(paused.status() == RunStatus::Paused);

    RunControl continued(true, true, log.hooks());
    REQUIRE(continued.cont().has_value());
    CHECK(continued.status() == RunStatus::Inmigrate);
    continued.stop();
    REQUIRE(continued.cont().has_value());
    continued.complete_load(RunStatus::Running);
    CHECK(continued.running());

    for (const RunStatus saved : {RunStatus::Paused, RunStatus::Prelaunch}) {
        RunControl may_run(false, true, log.hooks());
        may_run.complete_load(saved);
        CHECK(may_run.status() == saved);
    }

    RunControl fresh(true, true, log.hooks());
    fresh.complete_load(RunStatus::Prelaunch);
    CHECK(fresh.status() == RunStatus::Prelaunch);
}

TEST_CASE("a guest that is restored goes on as it was before a save's last phase",
          "[run_control]") {
    Log log;
    RunControl before(false, false, log.hooks());
    before.enter_finish_migrate();
    RunControl after(true, true, log.hooks());
    after.restore(before.record());
    after.start();
    CHECK(after.running());
    CHECK(log.lines == Lines{"halt", "STOP", "go"});

    RunControl waiting(true, true, log.hooks());
    REQUIRE(waiting.cont().has_value());
    RunControl next(true, false, log.hooks());
    next.restore(waiting.record());
    CHECK(next.status() == RunStatus::Inmigrate);
    next.complete_load(RunStatus::Running);
    CHECK(next.running());
}
