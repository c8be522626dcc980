// multifdctl restore: guest RAM from a file.
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

struct RestoreOptions : JobOptions {
    bool cont = false;
};

class Restore {
public:
    Restore(const RestoreOptions& options, Client client, Interrupts interrupts)
        : options_(options), client_(std::move(client)), interrupts_(std::move(interrupts)),
          display_("restore",
                   options.quiet ? ProgressMode::Off : pick_progress_mode(FdRef(STDERR_FILENO))) {}

    Exit run() {
        auto end = start_and_follow();
        display_.clear();
        // A server that still reads keeps its duplicates, and may look at its settings again.
        if (!end || end->how != JobEnd::How::Left)
            end_job(client_, "restore", file_ ? &*file_ : nullptr, settings_);
        if (!end)
            return fail("restore", with_remedy(end.error()));
        return report(*end);
    }

private:
    Result<JobEnd> start_and_follow() {
        MFD_TRY(const auto guest, client_.call("query-status"));
        if (text_in(guest, "status") != "inmigrate")
            return Error{Errc::WrongState,
                         "the server does not wait for a restore (it is " +
                             text_in(guest, "status") + "): start it with --incoming defer",
                         0};
        MFD_TRY(settings_, Settings::read(client_));
        MFD_TRY(direct_, wants_direct_io(options_, settings_));
        std::string name = std::filesystem::absolute(options_.file);
        if (!options_.by_path) {
            MFD_TRY(file_, JobFile::open_for_restore(options_.file, direct_ ? DirectIo::IfPossible
                                                                            : DirectIo::No));
            direct_ = file_->direct();
            if (!file_->note().empty())
                say("restore", file_->note());
        }
        MFD_CHECK(apply_job_settings(settings_, client_, options_, direct_));
        if (file_) {
            MFD_TRY(const auto fdset, file_->add_to(client_, "restore"));
            name = "/dev/fdset/" + std::to_string(fdset);
        }
        // Without it QEMU would exit on failure, and the reason be lost with it.
        MFD_CHECK(client_.call("migrate-incoming",
                               Json{{"uri", job_uri(name, options_)}, {"exit-on-error", false}}));
        return follow_job(client_, Follow::Restore, interrupts_, display_);
    }

    Exit report(const JobEnd& end) {
        switch (end.how) {
        case JobEnd::How::Completed:
            break;
        case JobEnd::How::Failed:
            say("restore", failure_text(end.info) + " (the server's log may say more; it has to be "
                                                    "started anew before another try)");
            return Exit::Failed;
        case JobEnd::How::Cancelled:
            say("restore", "cancelled by somebody else");
            return Exit::Failed;
        case JobEnd::How::Left:
            say("restore",
                "left while the restore goes on in the server, with its settings and fdset; see "
                "'multifdctl status'");
            return Exit::Interrupted;
        }
        if (options_.cont)
            if (const auto running = client_.call("cont"); !running)
                return fail("restore", running.error());
        if (options_.json)
            print_json(job_json(options_, end, direct_));
        else if (!options_.quiet)
            std::cout << restore_summary(options_.file, end.info, end.elapsed, direct_);
        return Exit::Ok;
    }

    RestoreOptions options_;
    Client client_;
    Interrupts interrupts_;
    ProgressDisplay display_;
    Settings settings_;
    std::optional<JobFile> file_;
    bool direct_ = false;
};

} // namespace

void add_restore(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("restore", "Restore the guest's RAM from a file");
    const auto options = std::make_shared<RestoreOptions>();
    add_job_options(*command, *options);
    command->add_flag("--cont", options->cont, "Run the guest afterwards");
    command->footer("The server must have been started with --incoming defer.\n\n"
                    "Examples:\n"
                    "  multifdctl -s /run/vm.qmp restore /var/lib/vm/ram.mig --channels 4\n"
                    "  multifdctl restore ram.mig --offset 1M --cont\n\n"
                    "Exit status: 0 restored, 1 failed, 2 wrong options or server not reached, 130 "
                    "interrupted.");
    command->callback([options, &invocation] {
        invocation.run = [options, &invocation] {
            return run_job(invocation, "restore", [&](Client client, Interrupts interrupts) {
                return Restore(*options, std::move(client), std::move(interrupts)).run();
            });
        };
    });
}

} // namespace mfd::ctl
