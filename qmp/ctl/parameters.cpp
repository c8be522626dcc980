// multifdctl set: migration parameters, with units.
#include "qmp/ctl/command.hpp"
#include "qmp/ctl/reply_fields.hpp"
#include "qmp/ctl/table.hpp"
#include "qmp/ctl/typed_text.hpp"

#include <iostream>
#include <memory>
#include <utility>
#include <vector>

namespace mfd::ctl {

namespace {

using Change = std::pair<std::string, std::string>; // name and text

void print_parameters(const Json& parameters, bool json) {
    if (json)
        return print_json(parameters);
    std::vector<std::vector<std::string>> rows;
    for (const auto& [name, value] : parameters.items())
        rows.push_back({name, parameter_text(name, value)});
    std::cout << table({"PARAMETER", "VALUE"}, {Align::Left, Align::Left}, rows);
}

// "NAME VALUE", or any number of "NAME=VALUE".
Result<std::vector<Change>> changes_in(const std::vector<std::string>& words) {
    if (words.size() == 2 && words[0].find('=') == std::string::npos)
        return std::vector<Change>{{words[0], words[1]}};
    std::vector<Change> changes;
    for (const auto& word : words) {
        const auto equals = word.find('=');
        if (equals == std::string::npos || equals == 0)
            return Error{Errc::BadArgument,
                         "'" + word + "' sets nothing: write NAME VALUE, or NAME=VALUE ...", 0};
        changes.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
    return changes;
}

Exit show_one(const Json& parameters, const SchemaHelp& schema, const std::string& name,
              bool json) {
    if (const auto found = parameters.find(name); found != parameters.end()) {
        print_parameters(Json{{name, *found}}, json);
        return Exit::Ok;
    }
    if (const auto known = find_argument(schema, "migrate-set-parameters", name); !known)
        return fail(
            "set",
            {Errc::BadArgument, known.error().what + " 'multifdctl set' lists the parameters", 0},
            Exit::Usage);
    // A server lists its own parameters only when they were set.
    if (json)
        print_json(Json::object());
    else
        std::cout << name << " has its default\n";
    return Exit::Ok;
}

Result<Exit> set_parameters(Client& client, const std::vector<std::string>& words, bool json) {
    MFD_TRY(auto parameters, client.call("query-migrate-parameters"));
    if (words.empty()) {
        print_parameters(parameters, json);
        return Exit::Ok;
    }
    MFD_TRY(const auto reply, client.call("query-qmp-schema"));
    const SchemaHelp schema(reply);
    if (words.size() == 1 && words[0].find('=') == std::string::npos)
        return show_one(parameters, schema, words[0], json);
    const auto changes = changes_in(words);
    if (!changes)
        return fail("set", changes.error(), Exit::Usage);
    Json arguments = Json::object();
    for (const auto& [name, text] : *changes) {
        const auto known = find_argument(schema, "migrate-set-parameters", name);
        if (!known)
            return fail("set",
                        {Errc::BadArgument,
                         known.error().what + " 'multifdctl set' lists the parameters", 0},
                        Exit::Usage);
        auto value = typed_value(schema, name, known->type, unit_of_parameter(name), text);
        if (!value)
            return fail("set", value.error(), Exit::Usage);
        arguments[name] = std::move(*value);
    }
    MFD_CHECK(client.call("migrate-set-parameters", arguments));
    // As the server has them now: it may round.
    MFD_TRY(parameters, client.call("query-migrate-parameters"));
    Json now = Json::object();
    for (const auto& [name, value] : arguments.items())
        now[name] = parameters.value(name, value);
    print_parameters(now, json);
    return Exit::Ok;
}

} // namespace

void add_set(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("set", "List or set migration parameters");
    const auto words = std::make_shared<std::vector<std::string>>();
    const auto json = std::make_shared<bool>(false);
    command->add_option("PARAMETER", *words, "NAME to show, NAME VALUE or NAME=VALUE ... to set");
    command->add_flag("--json", *json, "The parameters as an object, in the protocol's units");
    command->footer("Values may have units: 64MiB/s, 1.5G, 300ms, 20%, on, off. A running save "
                    "follows changes of\nmax-bandwidth and downtime-limit at once.\n\n"
                    "Examples:\n"
                    "  multifdctl -g demo set\n"
                    "  multifdctl -g demo set max-bandwidth 64MiB/s\n"
                    "  multifdctl -g demo set downtime-limit=2s multifd-channels=8");
    command->callback([words, json, &invocation] {
        invocation.run = [words, json, &invocation] {
            return with_client(invocation, "set", [words, json](Client& client) {
                return set_parameters(client, *words, *json);
            });
        };
    });
}

} // namespace mfd::ctl
