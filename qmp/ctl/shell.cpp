// multifdctl shell: a prompt for QMP.
#include "qmp/ctl/shell_input.hpp"

#include "qmp/ctl/command.hpp"
#include "qmp/ctl/described_file.hpp"
#include "qmp/ctl/interrupts.hpp"
#include "qmp/ctl/reply_fields.hpp"
#include "qmp/ctl/request_text.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <memory>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace mfd::ctl {

namespace {

std::string pretty(const Json& value) {
    return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// "12:34:56.123456 STOP {...}".
std::string event_text(const qmp::Event& event) {
    const auto stamp = object_in(event.raw, "timestamp");
    const auto seconds = static_cast<std::time_t>(number_in(stamp, "seconds"));
    std::tm local{};
    std::array<char, 32> clock{};
    std::array<char, 64> text{};
    if (::localtime_r(&seconds, &local) == nullptr ||
        std::strftime(clock.data(), clock.size(), "%H:%M:%S", &local) == 0)
        clock[0] = '\0';
    const int length =
        std::snprintf(text.data(), text.size(), "%s.%06u ", clock.data(),
                      static_cast<unsigned>(number_in(stamp, "microseconds") % 1'000'000));
    std::string line(text.data(), static_cast<std::size_t>(length));
    line += event.name;
    if (!event.data.empty())
        line += " " + event.data.dump(-1, ' ', false, Json::error_handler_t::replace);
    return line + "\n";
}

// The server's schema; without it, the names of its commands in the shape of one.
Result<Json> read_schema(Client& client) {
    MFD_TRY(auto schema, client.execute("query-qmp-schema"));
    Json list = std::move(schema.value);
    if (!schema.ok() || !list.is_array()) {
        MFD_TRY(auto commands, client.call("query-commands"));
        list = std::move(commands);
        for (auto& command : list)
            if (command.is_object())
                command["meta-type"] = "command";
    }
    return Result<Json>(boost::system::in_place_value, std::move(list));
}

class Shell {
public:
    Shell(Client client, Interrupts interrupts, const Json& schema, bool terminal)
        : client_(std::move(client)), interrupts_(std::move(interrupts)), help_(schema),
          input_(terminal ? make_terminal_input(help_) : make_plain_input()), terminal_(terminal) {}

    Exit run() {
        while (!done_ && !input_->ended()) {
            const auto turn = one_turn();
            if (!turn) {
                input_.reset(); // gives the terminal back before anything is said
                // A server that was told to quit is expected to go.
                return quitting_ ? status_ : fail("shell", turn.error());
            }
        }
        if (!done_ && !pending_.empty())
            complain("the input ends inside a request: " + pending_.substr(0, pending_.find('\n')));
        return status_;
    }

private:
    Result<void> one_turn() {
        std::array<pollfd, 3> fds{pollfd{STDIN_FILENO, POLLIN, 0},
                                  pollfd{client_.socket().get(), POLLIN, 0},
                                  pollfd{interrupts_.fd().get(), POLLIN, 0}};
        if (::poll(fds.data(), fds.size(), -1) < 0)
            return errno == EINTR ? Result<void>() : make_sys_error("poll", errno);
        if (fds[2].revents != 0)
            on_signal(interrupts_.take());
        if (fds[1].revents != 0) {
            const auto received = client_.receive_available();
            show_events();
            MFD_CHECK(received);
        }
        if (fds[0].revents != 0)
            input_->feed();
        while (!done_) {
            auto line = input_->take_line();
            if (!line)
                break;
            MFD_CHECK(on_line(*line));
        }
        return {};
    }

    void on_signal(int number) {
        if (number == SIGINT && terminal_) {
            pending_.clear();
            passed_.clear();
            input_->abandon_line();
        } else if (number != 0) {
            status_ = Exit::Interrupted;
            done_ = true;
        }
    }

    void show_events() {
        while (const auto event = client_.take_event())
            input_->print(event_text(*event));
    }

    Result<void> on_line(const std::string& line) {
        pending_ += line;
        if (needs_more(pending_)) {
            input_->set_continued(true);
            pending_ += "\n";
            return {};
        }
        if (pending_.size() > line.size())
            input_->set_continued(false);
        const std::string text = std::exchange(pending_, {});
        const auto words = split_words(text);
        Result<void> result;
        if (!words.empty() && !words[0].starts_with('#') && !built_in(words))
            result = send(text);
        return result;
    }

    bool built_in(const std::vector<std::string>& words) {
        if (words[0] == "exit" && words.size() == 1) {
            done_ = true;
        } else if (words[0] == "help") {
            show_help(words.size() > 1 ? words[1] : "");
        } else if (words[0] == ".fd" && words.size() == 2) {
            auto fd = open_described(words[1]);
            if (fd)
                passed_.push_back(std::move(*fd));
            else
                complain(fd.error().what);
        } else {
            return false;
        }
        return true;
    }

    void show_help(const std::string& command) {
        if (!command.empty()) {
            const auto text = help_.describe(command);
            if (text.empty())
                complain("no such command: " + command);
            else
                input_->print(text);
            return;
        }
        std::string text =
            "COMMAND key=value ...    or a request as JSON, also over several lines\n"
            "help [COMMAND]           commands; a command's arguments\n"
            ".fd FILE:r|w|rw[+direct] pass a descriptor with the next command\n"
            "exit, or ^D              leave; 'quit' ends the server\n\n";
        for (const auto& name : help_.commands())
            text += name + "\n";
        input_->print(text);
    }

    Result<void> send(const std::string& text) {
        auto request = parse_request(text);
        if (!request) {
            complain(request.error().what);
            return {};
        }
        const bool own_id = request->contains("id");
        quitting_ = text_in(*request, "execute") == "quit";
        const auto files = std::exchange(passed_, {});
        std::vector<FdRef> fds;
        fds.reserve(files.size());
        for (const auto& file : files)
            fds.push_back(file.ref());
        auto reply = client_.exchange(std::move(*request), {.fds = fds});
        show_events();
        if (!reply)
            return std::move(reply).error();
        if (own_id)
            input_->print(pretty(*reply));
        else if (const auto value = reply->find("return"); value != reply->end())
            input_->print(pretty(*value));
        if (const auto error = object_in(*reply, "error"); !error.empty())
            complain(text_in(error, "desc") + " (" + text_in(error, "class") + ")");
        return {};
    }

    void complain(const std::string& text) {
        status_ = Exit::Failed;
        if (terminal_)
            input_->print("error: " + text + "\n");
        else
            say("shell", text);
    }

    Client client_;
    Interrupts interrupts_;
    SchemaHelp help_;
    std::unique_ptr<ShellInput> input_; // after help_, which it uses
    bool terminal_;
    std::string pending_;
    std::vector<UniqueFd> passed_;
    Exit status_ = Exit::Ok;
    bool done_ = false;
    bool quitting_ = false;
};

Exit run_shell(const Invocation& invocation) {
    auto interrupts = Interrupts::make();
    if (!interrupts)
        return fail("shell", interrupts.error());
    auto client = connect(invocation);
    if (!client)
        return fail("shell", client.error(), Exit::Usage);
    const bool terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
    Json schema = Json::array();
    if (terminal) {
        auto read = read_schema(*client);
        if (!read)
            return fail("shell", read.error());
        schema = std::move(*read);
        say("shell", "connected; Tab completes, 'help' lists commands, ^D leaves, 'quit' ends the "
                     "server");
    }
    return Shell(std::move(*client), std::move(*interrupts), schema, terminal).run();
}

} // namespace

void add_shell(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("shell", "A prompt for QMP commands, with completion");
    command->footer("Reads commands line by line if stdin is no terminal; the exit status is 1 if "
                    "one of them failed.\n\n"
                    "Examples:\n"
                    "  multifdctl -s /run/vm.qmp shell\n"
                    "  printf 'stop\\nquery-status\\n' | multifdctl -s /run/vm.qmp shell");
    command->callback(
        [&invocation] { invocation.run = [&invocation] { return run_shell(invocation); }; });
}

} // namespace mfd::ctl
