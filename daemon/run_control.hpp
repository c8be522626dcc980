// Whether the guest runs: the run state with its commands stop, cont, system_reset, and what a
// migration does to it. Control thread only.
//
// What writes guest RAM inside the daemon follows through the hook set_running; it has stopped
// writing when that returns, so the state "not running" means that nobody here writes.
#pragma once

#include "daemon/migration_state.hpp"
#include "daemon/run_flag.hpp"
#include "proto/error.hpp"

#include <functional>
#include <string_view>

namespace mfd {

class RunControl {
public:
    struct Hooks {
        std::function<void(std::string_view event)> emit; // "STOP", "RESUME", to the clients
        std::function<void(bool running)> set_running;    // starts and stops the emulated guest
        std::function<Result<void>()> may_run;            // why cont must be refused now
    };

    // What an earlier process hands to the next one.
    struct Record {
        RunStatus status = RunStatus::Running; // never FinishMigrate
        bool run_after_load = true;
    };

    RunControl(bool start_paused, bool incoming, Hooks hooks);
    // Before start(). A save does not outlive its process: the guest is as it was before its last
    // phase.
    void restore(Record record);
    [[nodiscard]] Record record() const { return {status_to_save(), run_after_load_}; }
    // The guest of a daemon that was not started paused begins to run here.
    void start();

    [[nodiscard]] RunStatus status() const { return status_; }
    [[nodiscard]] bool running() const { return status_ == RunStatus::Running; }
    // The same for other threads.
    [[nodiscard]] const RunFlag& run_flag() const { return flag_; }

    // The commands.
    Result<void> cont();
    void stop();
    void system_reset();

    // A save enters its last phase, and leaves it: completed, or given up (the guest is then as it
    // was before).
    void enter_finish_migrate();
    void complete_save();
    void give_up_save();

    // A load completed; `saved` is the run state that the file names.
    void complete_load(RunStatus saved);

    // What a file should say of this guest's state: the state before the save's last phase.
    [[nodiscard]] RunStatus status_to_save() const;

private:
    void go(RunStatus status);
    void follow();

    Hooks hooks_;
    RunFlag flag_;
    RunStatus status_;
    RunStatus before_finish_; // what give_up_save() goes back to
    bool run_after_load_;     // cont or no -S: a guest saved running runs when it is loaded
};

} // namespace mfd
