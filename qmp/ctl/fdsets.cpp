// multifdctl fdsets: the descriptors that clients passed to a server.
#include "qmp/ctl/command.hpp"
#include "qmp/ctl/described_file.hpp"
#include "qmp/ctl/reply_fields.hpp"
#include "qmp/ctl/table.hpp"

#include <cerrno>
#include <charconv>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

namespace mfd::ctl {

namespace {

struct FdsetOptions {
    std::string action;
    std::vector<std::string> what;
    std::optional<std::int64_t> set;
    std::optional<std::string> opaque;
    bool json = false;
};

Result<Exit> print_fdsets(Client& client, bool json) {
    MFD_TRY(const auto sets, client.call("query-fdsets"));
    if (json) {
        print_json(sets);
        return Exit::Ok;
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& set : sets)
        for (const auto& fd : array_in(set, "fds"))
            rows.push_back({std::to_string(number_in(set, "fdset-id")),
                            std::to_string(number_in(fd, "fd")), text_in(fd, "opaque")});
    if (rows.empty())
        std::cout << "no fdsets; 'multifdctl fdsets add FILE:rw' makes one\n";
    std::cout << table({"SET", "FD", "OPAQUE"}, {Align::Right, Align::Right, Align::Left}, rows);
    return Exit::Ok;
}

Result<Exit> add_file(Client& client, const FdsetOptions& options) {
    // With the rights of whoever calls: the server needs none to the file.
    const auto& text = options.what.front();
    const auto file = open_described(text);
    if (!file) {
        const bool makeable = file.error().sys == ENOENT && !text.ends_with(":r");
        return fail("fdsets",
                    {file.error().code, file.error().what + (makeable ? "; +creat makes it" : "")},
                    Exit::Usage);
    }
    Json arguments{{"opaque", options.opaque.value_or(text)}};
    if (options.set)
        arguments["fdset-id"] = *options.set;
    const FdRef passed = file->ref();
    MFD_TRY(const auto added, client.call("add-fd", arguments, {.fds = std::span(&passed, 1)}));
    const auto set = std::to_string(number_in(added, "fdset-id"));
    if (options.json)
        print_json(added);
    else
        std::cout << "set " << set << ", descriptor " << number_in(added, "fd")
                  << "; commands name it /dev/fdset/" << set << "\n";
    return Exit::Ok;
}

std::optional<std::int64_t> whole_number(const std::string& text) {
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, fault] = std::from_chars(text.data(), end, value);
    return fault == std::errc() && stop == end && value >= 0 ? std::optional(value) : std::nullopt;
}

Result<Exit> remove_files(Client& client, const FdsetOptions& options) {
    const auto set = whole_number(options.what[0]);
    const auto fd = options.what.size() > 1 ? whole_number(options.what[1]) : 0;
    if (!set || !fd)
        return fail("fdsets",
                    {Errc::BadArgument,
                     "'remove' takes the numbers that 'multifdctl fdsets' lists: SET, or SET FD",
                     0},
                    Exit::Usage);
    Json arguments{{"fdset-id", *set}};
    if (options.what.size() > 1)
        arguments["fd"] = *fd;
    MFD_CHECK(client.call("remove-fd", arguments));
    if (options.json)
        print_json(arguments);
    else
        std::cout << "removed\n";
    return Exit::Ok;
}

std::string misuse(const FdsetOptions& options) {
    if (options.action == "add" && options.what.size() != 1)
        return "'add' takes one FILE:MODE, as in ram.mig:rw or ram.mig:w+direct";
    if (options.action == "remove" && (options.what.empty() || options.what.size() > 2))
        return "'remove' takes the numbers that 'multifdctl fdsets' lists: SET, or SET FD";
    if ((options.action.empty() || options.action == "list") && !options.what.empty())
        return "'list' takes nothing behind it";
    if (options.action != "add" && (options.set || options.opaque))
        return "--set and --opaque belong to 'add'";
    return {};
}

Exit run_fdsets(const Invocation& invocation, const FdsetOptions& options) {
    if (const auto text = misuse(options); !text.empty())
        return fail("fdsets", {Errc::BadArgument, text, 0}, Exit::Usage);
    return with_client(invocation, "fdsets", [&](Client& client) {
        if (options.action == "add")
            return add_file(client, options);
        if (options.action == "remove")
            return remove_files(client, options);
        return print_fdsets(client, options.json);
    });
}

} // namespace

void add_fdsets(CLI::App& app, Invocation& invocation) {
    auto* command =
        app.add_subcommand("fdsets", "List, add or remove descriptors that the server was passed");
    const auto options = std::make_shared<FdsetOptions>();
    command->add_option("ACTION", options->action, "What to do; default: list")
        ->check(CLI::IsMember({"list", "add", "remove"}));
    command->add_option("WHAT", options->what, "FILE:MODE to add; SET or SET FD to remove");
    command->add_option("--set", options->set, "NUMBER: add to this set; default: a new one")
        ->check(CLI::Range(0, std::numeric_limits<int>::max()));
    command->add_option("--opaque", options->opaque,
                        "TEXT: what the list shows of it; default: FILE:MODE");
    command->add_flag("--json", options->json, "The server's reply");
    command->footer("MODE is r, w or rw, with +direct, +creat, +trunc or +append behind it. The "
                    "file is opened by\nwhoever calls, the server needs no right to it.\n\n"
                    "Examples:\n"
                    "  multifdctl -g demo fdsets add ram.mig:rw+creat\n"
                    "  multifdctl -g demo fdsets add ram.mig:w+direct --set 0\n"
                    "  multifdctl -g demo fdsets remove 0");
    command->callback([options, &invocation] {
        invocation.run = [options, &invocation] { return run_fdsets(invocation, *options); };
    });
}

} // namespace mfd::ctl
