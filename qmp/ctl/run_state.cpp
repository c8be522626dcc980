// multifdctl pause, resume: the guest's run state, also where a save waits for a word about it.
#include "qmp/ctl/command.hpp"
#include "qmp/ctl/reply_fields.hpp"

#include <iostream>
#include <memory>

namespace mfd::ctl {

namespace {

// What the commands leave behind, as text or as one object.
Result<Exit> report(Client& client, bool json, const std::string& did, const std::string& text) {
    MFD_TRY(const auto guest, client.call("query-status"));
    const auto status = text_in(guest, "status");
    if (json)
        print_json(Json{{"did", did}, {"status", status}, {"running", flag_in(guest, "running")}});
    else
        std::cout << text << " (" << status << ")\n";
    return Exit::Ok;
}

Result<Exit> pause(Client& client, bool json) {
    MFD_TRY(const auto before, client.call("query-status"));
    MFD_TRY(const auto job, client.call("query-migrate"));
    MFD_CHECK(client.call("stop"));
    std::string text = "paused";
    if (flag_in(job, "x-waits-for-stop"))
        text = "paused; the save that waited for it finishes now";
    else if (text_in(before, "status") == "inmigrate")
        text = "will stay paused once it is restored";
    else if (!flag_in(before, "running"))
        text = "was not running";
    return report(client, json, "stop", text);
}

Result<Exit> resume(Client& client, bool json) {
    MFD_TRY(const auto before, client.call("query-status"));
    MFD_TRY(const auto job, client.call("query-migrate"));
    // A save that pauses before its last pass has stopped the guest itself: cont would be refused,
    // or break it, so what goes on is the save.
    if (text_in(job, "status") == "pre-switchover") {
        MFD_CHECK(client.call("migrate-continue", Json{{"state", "pre-switchover"}}));
        return report(client, json, "migrate-continue", "the save goes on with its last pass");
    }
    MFD_CHECK(client.call("cont"));
    std::string text = "running";
    if (text_in(before, "status") == "inmigrate")
        text = "will run once it is restored";
    else if (flag_in(before, "running"))
        text = "was running";
    return report(client, json, "cont", text);
}

void add_run_command(CLI::App& app, Invocation& invocation, const std::string& name,
                     const std::string& description, const std::string& footer,
                     Result<Exit> (*run)(Client&, bool)) {
    auto* command = app.add_subcommand(name, description);
    const auto json = std::make_shared<bool>(false);
    command->add_flag("--json", *json, "What was done and the run state after it, as an object");
    command->footer(footer);
    command->callback([name, run, json, &invocation] {
        invocation.run = [name, run, json, &invocation] {
            return with_client(invocation, name,
                               [run, json](Client& client) { return run(client, *json); });
        };
    });
}

} // namespace

void add_pause(CLI::App& app, Invocation& invocation) {
    add_run_command(app, invocation, "pause", "Stop the guest: nothing writes its memory then",
                    "A save that waits for the owner of the memory to stop finishes with it.\n\n"
                    "Example:\n"
                    "  multifdctl -g demo pause",
                    pause);
}

void add_resume(CLI::App& app, Invocation& invocation) {
    add_run_command(app, invocation, "resume",
                    "Let the guest run, or a save that waits before its last pass go on",
                    "Example:\n"
                    "  multifdctl -g demo resume",
                    resume);
}

} // namespace mfd::ctl
