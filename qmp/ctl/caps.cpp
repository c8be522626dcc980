// multifdctl caps: migration capabilities.
#include "qmp/ctl/command.hpp"
#include "qmp/ctl/reply_fields.hpp"
#include "qmp/ctl/table.hpp"
#include "qmp/ctl/typed_text.hpp"

#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

namespace mfd::ctl {

namespace {

struct CapsOptions {
    std::string name;
    std::string state;
    bool json = false;
};

// As an object by name; `only` picks one.
void print_capabilities(const Json& list, const std::string& only, bool json) {
    Json states = Json::object();
    std::vector<std::vector<std::string>> rows;
    for (const auto& entry : list) {
        const auto name = text_in(entry, "capability");
        if (!only.empty() && name != only)
            continue;
        states[name] = flag_in(entry, "state");
        rows.push_back({name, flag_in(entry, "state") ? "on" : "off"});
    }
    if (json)
        print_json(states);
    else
        std::cout << table({"CAPABILITY", "STATE"}, {Align::Left, Align::Left}, rows);
}

Result<Exit> capabilities(Client& client, const CapsOptions& options) {
    MFD_TRY(auto list, client.call("query-migrate-capabilities"));
    std::vector<std::string> names;
    for (const auto& entry : list)
        names.push_back(text_in(entry, "capability"));
    const bool known = std::find(names.begin(), names.end(), options.name) != names.end();
    if (!options.name.empty() && !known)
        return fail("caps",
                    {Errc::BadArgument,
                     "the server knows no capability '" + options.name + "'." +
                         suggestion(options.name, names) + " 'multifdctl caps' lists them",
                     0},
                    Exit::Usage);
    if (!options.state.empty()) {
        const auto state = parse_switch(options.name, options.state);
        if (!state)
            return fail("caps", state.error(), Exit::Usage);
        MFD_CHECK(client.call("migrate-set-capabilities",
                              Json{{"capabilities", Json::array({{{"capability", options.name},
                                                                  {"state", *state}}})}}));
        MFD_TRY(list, client.call("query-migrate-capabilities"));
    }
    print_capabilities(list, options.name, options.json);
    return Exit::Ok;
}

} // namespace

void add_caps(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("caps", "List migration capabilities, or switch one");
    const auto options = std::make_shared<CapsOptions>();
    command->add_option("NAME", options->name, "The capability; default: all");
    command->add_option("STATE", options->state, "on or off; default: show it");
    command->add_flag("--json", options->json, "An object of booleans by name");
    command->footer("multifdctl save and restore set those that they need, and put them back.\n\n"
                    "Examples:\n"
                    "  multifdctl -g demo caps\n"
                    "  multifdctl -g demo caps auto-converge on");
    command->callback([options, &invocation] {
        invocation.run = [options, &invocation] {
            return with_client(invocation, "caps", [options](Client& client) {
                return capabilities(client, *options);
            });
        };
    });
}

} // namespace mfd::ctl
