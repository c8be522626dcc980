// multifdctl status: what the server is doing.
#include "qmp/ctl/command.hpp"
#include "qmp/ctl/summary.hpp"

#include <iostream>
#include <memory>

namespace mfd::ctl {

namespace {

Exit run_status(const Invocation& invocation, bool json) {
    auto client = connect(invocation);
    if (!client)
        return fail("status", client.error(), Exit::Usage);
    Json all = Json::object();
    for (const char* command :
         {"query-status", "query-name", "query-version", "query-migrate", "query-memdev"}) {
        auto reply = client->execute(command);
        if (!reply)
            return fail("status", reply.error());
        // A server without one of them still has a status.
        if (reply->ok())
            all[command] = std::move(reply->value);
    }
    if (json)
        print_json(all);
    else
        std::cout << status_text(all);
    return Exit::Ok;
}

} // namespace

void add_status(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("status", "Show the guest, its memory and the last job");
    const auto json = std::make_shared<bool>(false);
    command->add_flag("--json", *json, "The server's replies, as one object by command");
    command->footer("Example:\n"
                    "  multifdctl -s /run/vm.qmp status");
    command->callback([json, &invocation] {
        invocation.run = [json, &invocation] { return run_status(invocation, *json); };
    });
}

} // namespace mfd::ctl
