#include "daemon/run_control.hpp"

#include <utility>

namespace mfd {

namespace {

RunStatus initial_status(bool start_paused, bool incoming) {
    if (incoming)
        return RunStatus::Inmigrate;
    return start_paused ? RunStatus::Prelaunch : RunStatus::Running;
}

} // namespace

RunControl::RunControl(bool start_paused, bool incoming, Hooks hooks)
    : hooks_(std::move(hooks)), status_(initial_status(start_paused, incoming)),
      before_finish_(status_), run_after_load_(!start_paused) {}

void RunControl::restore(Record record) {
    status_ = before_finish_ = record.status;
    run_after_load_ = record.run_after_load;
}

void RunControl::start() {
    follow();
}

// The flag never says "stopped" while somebody writes.
void RunControl::follow() {
    if (running())
        flag_.set(true);
    hooks_.set_running(running());
    if (!running())
        flag_.set(false);
}

// Changes between running and not running, with the event that says so.
void RunControl::go(RunStatus status) {
    status_ = status;
    follow();
    hooks_.emit(running() ? "RESUME" : "STOP");
}

Result<void> RunControl::cont() {
    switch (status_) {
    case RunStatus::Running:
        return {};
    case RunStatus::Inmigrate:
        MFD_CHECK(hooks_.may_run());
        run_after_load_ = true;
        return {};
    case RunStatus::FinishMigrate:
        return Error{Errc::WrongState, "Migration is not finalized yet"};
    case RunStatus::Prelaunch:
    case RunStatus::Paused:
    case RunStatus::Postmigrate:
        break;
    }
    MFD_CHECK(hooks_.may_run());
    go(RunStatus::Running);
    return {};
}

void RunControl::stop() {
    if (status_ == RunStatus::Inmigrate)
        run_after_load_ = false;
    if (!running())
        return;
    go(RunStatus::Paused);
}

void RunControl::system_reset() {
    if (status_ == RunStatus::Paused || status_ == RunStatus::Postmigrate)
        status_ = RunStatus::Prelaunch;
}

void RunControl::enter_finish_migrate() {
    before_finish_ = status_;
    if (running())
        go(RunStatus::FinishMigrate);
    else
        status_ = RunStatus::FinishMigrate;
}

void RunControl::complete_save() {
    status_ = RunStatus::Postmigrate;
}

void RunControl::give_up_save() {
    if (status_ != RunStatus::FinishMigrate)
        return;
    if (before_finish_ == RunStatus::Running)
        go(RunStatus::Running);
    else
        status_ = before_finish_;
}

void RunControl::complete_load(RunStatus saved) {
    if (saved == RunStatus::Running && run_after_load_) {
        go(RunStatus::Running);
        return;
    }
    status_ = saved == RunStatus::Prelaunch ? RunStatus::Prelaunch : RunStatus::Paused;
}

RunStatus RunControl::status_to_save() const {
    return status_ == RunStatus::FinishMigrate ? before_finish_ : status_;
}

} // namespace mfd
