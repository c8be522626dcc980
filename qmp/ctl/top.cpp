// multifdctl top: all instances of this host.
#include "qmp/ctl/command.hpp"
#include "qmp/ctl/instance_watch.hpp"
#include "qmp/ctl/top_view.hpp"
#include "qmp/ctl/user_input.hpp"

#include <array>
#include <chrono>
#include <iostream>
#include <memory>

#include <poll.h>

namespace mfd::ctl {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Millis kLookEvery{1000};

struct TopOptions {
    std::string directory{kServiceFolder};
    bool once = false;
    bool json = false;
    unsigned timeout_s = 3;
};

Exit print_once(InstanceWatch& watch, const TopOptions& options) {
    watch.wait();
    const auto states = watch.states();
    if (options.json) {
        Json list = Json::array();
        for (const InstanceState& state : states)
            list.push_back(to_json(state));
        print_json(list);
        return Exit::Ok;
    }
    if (states.empty()) {
        std::cout << "no sockets in " << options.directory
                  << (options.directory == kServiceFolder
                          ? "; 'systemctl start multifdd@demo' makes a guest to try\n"
                          : "\n");
        return Exit::Ok;
    }
    // As wide as it takes: this may go to a pager or another program.
    for (const ScreenLine& line : top_table(states, {.columns = 1000})) {
        const std::string text = plain(line);
        std::cout << text.substr(0, text.find_last_not_of(' ') + 1) << "\n";
    }
    return Exit::Ok;
}

Result<Exit> show_live(InstanceWatch& watch, const TopOptions& options, UserInput input,
                       Screen screen) {
    MFD_CHECK(input.watch_keys());
    auto next_look = Clock::now() + kLookEvery;
    for (;;) {
        screen.draw(top_screen(watch.states(), options.directory, screen.surface()));
        // Answers come at any time, so the picture is made anew more often than questions are
        // asked.
        std::array<pollfd, 1> fds{pollfd{input.fd().get(), POLLIN, 0}};
        static_cast<void>(::poll(fds.data(), fds.size(), static_cast<int>(kLookEvery.count() / 4)));
        switch (input.take(&screen)) {
        case Wish::Leave:
            return Exit::Ok;
        case Wish::Interrupt:
            return Exit::Interrupted;
        case Wish::None:
            break;
        }
        if (Clock::now() < next_look)
            continue;
        next_look = Clock::now() + kLookEvery;
        MFD_TRY(const auto sockets, find_instances(options.directory));
        watch.look_at(sockets);
    }
}

Exit run_top(const TopOptions& options) {
    const auto sockets = find_instances(options.directory);
    if (!sockets)
        return fail("top", sockets.error(), Exit::Usage);
    auto input = UserInput::make(); // before the threads, which inherit the blocked signals
    if (!input)
        return fail("top", input.error());
    auto watch = InstanceWatch::make(std::chrono::seconds(options.timeout_s));
    if (!watch)
        return fail("top", watch.error());
    std::optional<Screen> screen;
    if (!options.once && !options.json)
        screen = Screen::open();
    (*watch)->look_at(*sockets);
    if (!screen)
        return print_once(**watch, options);
    const auto status = show_live(**watch, options, std::move(*input), std::move(*screen));
    return status ? *status : fail("top", status.error());
}

} // namespace

void add_top(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("top", "Show all guests of this host and their jobs");
    const auto options = std::make_shared<TopOptions>();
    command->add_flag("--once", options->once,
                      "Print the table and leave; the default without a terminal");
    command->add_flag("--json", options->json, "The same as an array of objects");
    command->add_option("--directory", options->directory,
                        "DIR: where the sockets NAME.qmp are; default: /run/multifdd");
    command->add_option("--timeout", options->timeout_s, "Seconds to wait for an answer")
        ->check(CLI::Range(1U, 3600U));
    command->footer("Sockets for onlookers (NAME-ro.qmp) are preferred: at the others a look takes "
                    "the place of a client\nfor a moment, and waits while somebody else is "
                    "connected.\n\n"
                    "Examples:\n"
                    "  multifdctl top\n"
                    "  multifdctl top --once --json");
    command->callback(
        [options, &invocation] { invocation.run = [options] { return run_top(*options); }; });
}

} // namespace mfd::ctl
