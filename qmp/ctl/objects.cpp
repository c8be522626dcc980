// multifdctl objects: memory backends and what else a server was given with object-add.
#include "qmp/ctl/command.hpp"
#include "qmp/ctl/reply_fields.hpp"
#include "qmp/ctl/table.hpp"
#include "qmp/ctl/typed_text.hpp"
#include "qmp/units.hpp"

#include <iostream>
#include <memory>
#include <vector>

namespace mfd::ctl {

namespace {

struct ObjectOptions {
    std::string action;
    std::string what;
    bool json = false;
};

// "child<memory-backend-ram>" as qom-list says it.
std::string type_of_child(const std::string& type) {
    const auto open = type.find('<');
    return open == std::string::npos || !type.ends_with('>')
               ? type
               : type.substr(open + 1, type.size() - open - 2);
}

// The members of query-memdev, by id, with the type that qom-list knows; objects that are no memory
// have id and type alone.
Result<Json> list_objects(Client& client) {
    MFD_TRY(const auto backends, client.call("query-memdev"));
    Json objects = Json::array();
    // A server without objects has no such path.
    MFD_TRY(const auto listed, client.execute("qom-list", Json{{"path", "/objects"}}));
    if (listed.ok())
        for (const auto& child : listed.value)
            if (const auto type = text_in(child, "type"); type.starts_with("child<"))
                objects.push_back(
                    Json{{"id", text_in(child, "name")}, {"type", type_of_child(type)}});
    for (const auto& backend : backends) {
        bool found = false;
        for (auto& object : objects)
            if (text_in(object, "id") == text_in(backend, "id")) {
                object.update(backend);
                found = true;
            }
        if (!found) // memory that the machine made for itself
            objects.push_back(backend);
    }
    return Result<Json>(boost::system::in_place_value, std::move(objects));
}

std::string traits_of(const Json& object) {
    if (!object.contains("size"))
        return {};
    std::string text = flag_in(object, "share") ? "shared" : "private";
    if (flag_in(object, "prealloc"))
        text += ", preallocated";
    if (const auto policy = text_in(object, "policy"); !policy.empty() && policy != "default")
        text += ", " + policy + " " + array_in(object, "host-nodes").dump();
    return text;
}

Result<Exit> print_objects(Client& client, bool json) {
    MFD_TRY(const auto objects, list_objects(client));
    if (json) {
        print_json(objects);
        return Exit::Ok;
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& object : objects)
        rows.push_back({text_in(object, "id"), text_in(object, "type"),
                        object.contains("size") ? format_bytes(number_in(object, "size")) : "",
                        traits_of(object)});
    if (rows.empty())
        std::cout << "no objects; 'multifdctl objects add memory-backend-memfd,id=ram0,size=1G' "
                     "makes one\n";
    std::cout << table({"ID", "TYPE", "SIZE", "MEMORY"},
                       {Align::Left, Align::Left, Align::Right, Align::Left}, rows);
    return Exit::Ok;
}

Result<Exit> add_object(Client& client, const ObjectOptions& options) {
    MFD_TRY(const auto reply, client.call("query-qmp-schema"));
    const auto arguments = object_arguments(SchemaHelp(reply), options.what);
    if (!arguments)
        return fail("objects", arguments.error(), Exit::Usage);
    MFD_CHECK(client.call("object-add", *arguments));
    if (options.json)
        print_json(*arguments);
    else
        std::cout << "added " << text_in(*arguments, "id") << "\n";
    return Exit::Ok;
}

Result<Exit> delete_object(Client& client, const ObjectOptions& options) {
    MFD_CHECK(client.call("object-del", Json{{"id", options.what}}));
    if (options.json)
        print_json(Json{{"id", options.what}});
    else
        std::cout << "deleted " << options.what << "\n";
    return Exit::Ok;
}

Exit run_objects(const Invocation& invocation, const ObjectOptions& options) {
    const bool lists = options.action.empty() || options.action == "list";
    if (lists != options.what.empty())
        return fail("objects",
                    {Errc::BadArgument,
                     lists ? "'list' takes nothing behind it"
                           : "'" + options.action + "' needs " +
                                 (options.action == "add"
                                      ? "TYPE,id=ID,..., as in memory-backend-memfd,id=ram1,size=1G"
                                      : "an ID; 'multifdctl objects' lists them"),
                     0},
                    Exit::Usage);
    return with_client(invocation, "objects", [&](Client& client) {
        if (options.action == "add")
            return add_object(client, options);
        if (options.action == "del")
            return delete_object(client, options);
        return print_objects(client, options.json);
    });
}

} // namespace

void add_objects(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("objects", "List, add or delete memory backends");
    const auto options = std::make_shared<ObjectOptions>();
    command->add_option("ACTION", options->action, "What to do; default: list")
        ->check(CLI::IsMember({"list", "add", "del"}));
    command->add_option("OBJECT", options->what, "TYPE,id=ID,... to add, ID to delete");
    command->add_flag("--json", options->json, "The server's members, as an array");
    command->footer("Examples:\n"
                    "  multifdctl -g demo objects\n"
                    "  multifdctl -g demo objects add memory-backend-memfd,id=ram1,size=1G\n"
                    "  multifdctl -g demo objects del ram1");
    command->callback([options, &invocation] {
        invocation.run = [options, &invocation] { return run_objects(invocation, *options); };
    });
}

} // namespace mfd::ctl
