// multifdctl save: guest RAM to a file.
#include "qmp/ctl/job.hpp"
#include "qmp/ctl/job_file.hpp"
#include "qmp/ctl/reply_fields.hpp"
#include "qmp/ctl/summary.hpp"

#include <filesystem>
#include <iostream>
#include <memory>

#include <unistd.h>

namespace mfd::ctl {

namespace {

struct SaveOptions : JobOptions {
    bool stop = false;
    bool keep_running = false;
};

// One save. What was changed on the server is put back by tidy_up(), whatever happened before.
class Save {
public:
    Save(const SaveOptions& options, Client client, Interrupts interrupts)
        : options_(options), client_(std::move(client)), interrupts_(std::move(interrupts)),
          display_("save",
                   options.quiet ? ProgressMode::Off : pick_progress_mode(FdRef(STDERR_FILENO))) {}

    Exit run() {
        auto end = start_and_follow();
        display_.clear();
        const bool left = end && end->how == JobEnd::How::Left;
        if (!left)
            tidy_up(end && end->how == JobEnd::How::Completed);
        return end ? report(*end) : report_fault(end.error());
    }

private:
    Result<JobEnd> start_and_follow() {
        MFD_TRY(const auto guest, client_.call("query-status"));
        was_running_ = flag_in(guest, "running");
        MFD_TRY(settings_, Settings::read(client_));
        MFD_TRY(direct_, wants_direct_io(options_, settings_));
        std::string name = std::filesystem::absolute(options_.file);
        if (!options_.by_path) {
            MFD_TRY(file_, JobFile::open_for_save(options_.file,
                                                  direct_ ? DirectIo::IfPossible : DirectIo::No));
            direct_ = file_->direct();
            if (!file_->note().empty())
                say("save", file_->note());
        }
        if (options_.stop && was_running_) {
            MFD_CHECK(client_.call("stop"));
            stopped_ = true;
        }
        MFD_CHECK(apply_job_settings(settings_, client_, options_, direct_));
        if (file_) {
            MFD_TRY(const auto fdset, file_->add_to(client_, "save"));
            name = "/dev/fdset/" + std::to_string(fdset);
        }
        MFD_CHECK(client_.call("migrate", Json{{"uri", job_uri(name, options_)}}));
        started_ = true;
        return follow_job(client_, Follow::Save, interrupts_, display_);
    }

    void tidy_up(bool completed) {
        end_job(client_, "save", file_ ? &*file_ : nullptr, settings_);
        if (completed ? options_.keep_running && was_running_ : stopped_)
            if (const auto running = client_.call("cont"); !running)
                say("save", "the guest does not run on: " + running.error().what);
    }

    Exit report(const JobEnd& end) {
        switch (end.how) {
        case JobEnd::How::Completed:
            if (file_)
                if (const auto complete = file_->complete(); !complete)
                    return fail("save", complete.error());
            if (end.interrupted)
                say("save", "was complete before it could be cancelled");
            if (options_.json)
                print_json(job_json(options_, end, direct_));
            else if (!options_.quiet)
                std::cout << save_summary(options_.file, end.info, direct_);
            return Exit::Ok;
        case JobEnd::How::Failed:
            say("save", failure_text(end.info) + unmade_text());
            return Exit::Failed;
        case JobEnd::How::Cancelled:
            say("save",
                (end.interrupted ? "cancelled" : "cancelled by somebody else") + unmade_text());
            return end.interrupted ? Exit::Interrupted : Exit::Failed;
        case JobEnd::How::Left:
            say("save", "left while the server still cancels; its settings and the fdset stay. See "
                        "'multifdctl status' and 'multifdctl qmp query-fdsets'");
            return Exit::Interrupted;
        }
        return Exit::Failed;
    }

    Exit report_fault(const Error& error) {
        if (started_) {
            say("save", error.what + "; if the server is still there the save goes on in it" +
                            (file_ && file_->unnamed()
                                 ? ", for nothing: " + options_.file + " was not made"
                                 : ", and " + options_.file + " is incomplete until it ends"));
            return Exit::Failed;
        }
        say("save", with_remedy(error).what + unmade_text());
        return Exit::Failed;
    }

    [[nodiscard]] std::string unmade_text() const {
        return file_ && file_->unnamed() ? "; " + options_.file + " was not made" : std::string();
    }

    SaveOptions options_;
    Client client_;
    Interrupts interrupts_;
    ProgressDisplay display_;
    Settings settings_;
    std::optional<JobFile> file_;
    bool direct_ = false;
    bool was_running_ = false;
    bool stopped_ = false;
    bool started_ = false;
};

} // namespace

void add_save(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("save", "Save the guest's RAM to a file");
    const auto options = std::make_shared<SaveOptions>();
    add_job_options(*command, *options);
    command->add_flag("--stop", options->stop,
                      "Stop the guest first; it runs on if the save fails");
    command->add_flag("--keep-running", options->keep_running,
                      "A guest that ran before runs on afterwards");
    command->footer("Examples:\n"
                    "  multifdctl -s /run/vm.qmp save /var/lib/vm/ram.mig --channels 4\n"
                    "  multifdctl save ram.mig --stop --keep-running\n"
                    "  multifdctl save ram.mig --offset 1M --no-direct-io\n\n"
                    "Exit status: 0 saved, 1 failed or cancelled by others, 2 wrong options or "
                    "server not reached,\n130 interrupted.");
    command->callback([options, &invocation] {
        invocation.run = [options, &invocation] {
            return run_job(invocation, "save", [&](Client client, Interrupts interrupts) {
                return Save(*options, std::move(client), std::move(interrupts)).run();
            });
        };
    });
}

} // namespace mfd::ctl
