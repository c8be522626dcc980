// multifdctl qmp: sends one command, prints the reply.
#include "qmp/ctl/command.hpp"
#include "qmp/ctl/described_file.hpp"
#include "qmp/ctl/request_text.hpp"

#include <iostream>
#include <memory>
#include <vector>

namespace mfd::ctl {

namespace {

struct QmpOptions {
    std::string command;
    std::vector<std::string> arguments;
    std::vector<std::string> files;
    bool compact = false;
    unsigned timeout_s = 60;
};

Exit run_qmp(const Invocation& invocation, const QmpOptions& options) {
    auto arguments = parse_arguments(options.arguments);
    if (!arguments)
        return fail("qmp", arguments.error(), Exit::Usage);
    std::vector<UniqueFd> files;
    std::vector<FdRef> fds;
    for (const auto& text : options.files) {
        auto fd = open_described(text);
        if (!fd)
            return fail("qmp", with_context("--fd", fd.error()), Exit::Usage);
        fds.push_back(fd->ref());
        files.push_back(std::move(*fd));
    }
    auto client = connect(invocation);
    if (!client)
        return fail("qmp", client.error(), Exit::Usage);
    auto reply = client->execute(options.command, std::move(*arguments),
                                 {.fds = fds, .timeout = std::chrono::seconds(options.timeout_s)});
    if (!reply)
        return fail("qmp", reply.error());
    if (reply->error) {
        const bool unknown = reply->error->error_class == "CommandNotFound";
        say("qmp", options.command + ": " + reply->error->desc + " (" + reply->error->error_class +
                       ")" +
                       (unknown ? "; 'multifdctl qmp query-commands' lists what there is" : ""));
        return Exit::Failed;
    }
    std::cout << reply->value.dump(options.compact ? -1 : 2, ' ', false,
                                   Json::error_handler_t::replace)
              << "\n";
    return Exit::Ok;
}

} // namespace

void add_qmp(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("qmp", "Send one QMP command and print what it returns");
    const auto options = std::make_shared<QmpOptions>();
    command->add_option("COMMAND", options->command, "The command's name")->required();
    command->add_option("ARGUMENTS", options->arguments, "A JSON object, or key=value ...");
    command->add_option("--fd", options->files, "Pass a descriptor: FILE:r, FILE:w+direct, ...")
        ->allow_extra_args(false);
    command->add_flag("--compact", options->compact, "The reply on one line");
    command->add_option("--timeout", options->timeout_s, "Seconds to wait for the reply")
        ->check(CLI::Range(1U, 86'400U));
    command->footer("Examples:\n"
                    "  multifdctl -s /run/vm.qmp qmp query-migrate\n"
                    "  multifdctl qmp migrate-set-parameters multifd-channels=4 direct-io=true\n"
                    "  multifdctl qmp migrate '{\"uri\": \"file:/tmp/ram.mig\"}'\n"
                    "  multifdctl qmp add-fd fdset-id=1 --fd ram.mig:w+direct");
    command->callback([options, &invocation] {
        invocation.run = [options, &invocation] { return run_qmp(invocation, *options); };
    });
}

} // namespace mfd::ctl
