// multifdctl cancel, quit: single commands with something to wait for.
#include "qmp/ctl/command.hpp"
#include "qmp/ctl/reply_fields.hpp"

#include <iostream>
#include <memory>

namespace mfd::ctl {

namespace {

constexpr Millis kPollInterval{200};

bool runs(const std::string& status) {
    return status == "setup" || status == "active" || status == "pre-switchover" ||
           status == "device" || status == "cancelling";
}

// Ends when the job has ended, whichever way. A save that completes in this moment is no failure of
// ours, but not what was asked for.
Result<Exit> cancel(Client& client, bool json) {
    MFD_TRY(auto info, client.call("query-migrate"));
    if (!runs(text_in(info, "status"))) {
        say("cancel", "nothing runs that could be cancelled");
        return Exit::Failed;
    }
    MFD_TRY(const auto guest, client.call("query-status"));
    if (text_in(guest, "status") == "inmigrate") {
        say("cancel", "a restore runs, and a server cannot take it back; 'multifdctl quit' ends "
                      "the server");
        return Exit::Failed;
    }
    MFD_CHECK(client.call("migrate_cancel"));
    while (runs(text_in(info, "status"))) {
        // The event only shortens the wait: a server may have them turned off.
        MFD_CHECK(client.wait_event("MIGRATION", kPollInterval));
        MFD_TRY(info, client.call("query-migrate"));
    }
    const auto status = text_in(info, "status");
    if (status == "cancelled") {
        if (json)
            print_json({{"did", "migrate_cancel"}, {"status", status}});
        else
            std::cout << "cancelled\n";
        return Exit::Ok;
    }
    say("cancel", "the job ended before it could be cancelled: " + status);
    return Exit::Failed;
}

Result<Exit> quit(Client& client) {
    auto reply = client.call("quit");
    // The server may be gone before its answer is out.
    if (!reply && reply.error().sys == 0 && reply.error().code != Errc::Io)
        return std::move(reply).error();
    // Its end of the connection goes away as the last thing, so that a new server can be started on
    // the same files when this returns.
    for (;;) {
        auto event = client.wait_event([](const qmp::Event&) { return true; }, Millis(60'000));
        if (!event)
            return Exit::Ok;
        if (!event->has_value())
            return Error{Errc::Io, "the server has not ended within a minute", 0};
    }
}

} // namespace

void add_cancel(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("cancel", "Cancel the running save, and wait until it is");
    const auto json = std::make_shared<bool>(false);
    command->add_flag("--json", *json, "What was done and the job's state after it, as an object");
    command->footer("Example:\n  multifdctl -g demo cancel");
    command->callback([json, &invocation] {
        invocation.run = [json, &invocation] {
            return with_client(invocation, "cancel",
                               [&](Client& client) { return cancel(client, *json); });
        };
    });
}

void add_quit(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("quit", "End the server, and wait until it has");
    command->footer("Example:\n  multifdctl -g demo quit");
    command->callback([&invocation] {
        invocation.run = [&invocation] { return with_client(invocation, "quit", quit); };
    });
}

} // namespace mfd::ctl
