// multifdctl: save, restore and look at guest RAM through a server's QMP socket, and look into
// saved files without one.
#include "qmp/cli_docs.hpp"
#include "qmp/ctl/command.hpp"

#include <csignal>
#include <exception>
#include <iostream>

namespace {

using namespace mfd::ctl;

// All subcommands, in the order in which --help lists them.
constexpr AddCommand kCommands[] = {add_save,    add_restore, add_status,  add_watch, add_top,
                                    add_cancel,  add_pause,   add_resume,  add_set,   add_caps,
                                    add_objects, add_fdsets,  add_quit,    add_qmp,   add_shell,
                                    add_inspect, add_verify,  add_extract, add_diff,  add_map,
                                    add_convert, add_bench};

Exit run(int argc, char** argv) {
    CLI::App app{"Saves and restores guest RAM through the QMP socket of multifdd or QEMU, and "
                 "looks into saved files",
                 "multifdctl"};
    Invocation invocation;
    app.add_option("-s,--socket", invocation.socket, "The server's QMP socket")
        ->envname("MULTIFD_SOCKET");
    app.add_option("-g,--guest", invocation.guest,
                   "NAME: the guest of a service, in place of -s /run/multifdd/NAME.qmp");
    app.set_version_flag("--version", "multifdctl " MFD_VERSION);
    mfd::cli::declare_print_options(app, MFD_VERSION);
    app.fallthrough(); // -s may stand behind the subcommand, too
    app.footer("Examples:\n"
               "  multifdctl -s /run/vm.qmp save /var/lib/vm/ram.mig --channels 4\n"
               "  multifdctl -g demo restore /var/lib/vm/ram.mig\n"
               "  MULTIFD_SOCKET=/run/vm.qmp multifdctl status\n"
               "  multifdctl verify /var/lib/vm/ram.mig\n\n"
               "Exit status: 0 done, 1 failed, 2 wrong options, server not reached or file not "
               "read,\n130 interrupted.");
    for (const auto add : kCommands)
        add(app, invocation);
    try {
        app.parse(argc, argv);
        // Here and not by require_subcommand(), which would hide what a word not known is.
        if (app.get_subcommands().empty())
            throw CLI::RequiredError("A command");
    } catch (const CLI::ParseError& fault) {
        if (fault.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
            return static_cast<Exit>(app.exit(fault)); // --help, --version
        // Which subcommand it belongs to decides whose help is worth reading.
        const auto chosen = app.get_subcommands();
        const std::string name = chosen.empty() ? "" : chosen.front()->get_name();
        const auto words = app.remaining();
        const bool unknown = name.empty() && !words.empty() && !words.front().starts_with('-');
        const std::string what =
            unknown ? "there is no command " + words.front() : std::string(fault.what());
        say(name, what + "; see 'multifdctl " + (name.empty() ? "" : name + " ") + "--help'");
        return Exit::Usage;
    }
    return invocation.run();
}

} // namespace

int main(int argc, char** argv) {
    // A reader that goes away early (a pager, head) is seen as a failed write, and a job on a
    // server ended in order.
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
    try {
        const Exit status = run(argc, argv);
        if (!std::cout.flush()) {
            if (!reader_is_gone())
                say("", "cannot write to standard output");
            return static_cast<int>(Exit::Failed);
        }
        return static_cast<int>(status);
    } catch (const std::exception& fault) {
        say("", fault.what());
        return static_cast<int>(Exit::Failed);
    }
}
