#include "qmp/dispatcher.hpp"

#include "qmp/introspection.hpp"

#include <stdexcept>
#include <utility>

namespace mfd::qmp {

namespace {

using namespace schema;

// What a declaration must not get wrong for checking and introspection to work.
void require_sound(const std::string& where, const Type& type) {
    for (const Member& member : type.members)
        require_sound(where + "." + member.name, *member.type);
    for (const Case& one : type.variants.cases)
        require_sound(where + ":" + one.name, *one.object);
    for (const TypeRef& choice : type.choices)
        require_sound(where, *choice);
    if (type.element)
        require_sound(where + "[]", *type.element);
    if (type.variants.tag.empty())
        return;
    const Member* tag = find_member(type, type.variants.tag);
    if (tag == nullptr || tag->type->kind != Kind::Enum || tag->presence != Presence::Required)
        throw std::logic_error(where + ": the tag of variants is a required enumeration");
    for (const Case& one : type.variants.cases)
        if (one.object->kind != Kind::Object || find_value(*tag->type, one.name) == nullptr)
            throw std::logic_error(where + ": case " + one.name +
                                   " is not an object or not a value of the tag");
}

TypeRef version_info() {
    return object("VersionInfo", {required("qemu",
                                           object("VersionTriple", {required("major", int64()),
                                                                    required("minor", int64()),
                                                                    required("micro", int64())}),
                                           "The QEMU whose protocol and file format this is."),
                                  required("package", str(), "The daemon and its own version.")});
}

} // namespace

Dispatcher::Dispatcher(Version version) : version_(std::move(version)) {
    add(Command{
        .name = std::string(kNegotiate),
        .doc = "Leaves negotiation mode, in which every connection begins. The only command there.",
        .arguments = object(
            "QmpCapabilities",
            {optional("enable",
                      array(enumeration("QMPCapability", {{"oob", "out-of-band execution"}})),
                      "What the client wants to use.")}),
        .access = Access::Query,
        .handler = immediate([](const Json&) -> Outcome { return Json::object(); }),
    });
    add(Command{
        .name = "query-version",
        .doc = "Version of the protocol and of the daemon.",
        .returns = version_info(),
        .access = Access::Query,
        .handler = immediate([this](const Json&) -> Outcome { return to_json(version_); }),
    });
    add(Command{
        .name = "query-commands",
        .doc = "Names of all commands.",
        .returns = array(object("CommandInfo", {required("name", str())})),
        .access = Access::Query,
        .handler = immediate([this](const Json&) -> Outcome {
            Json names = Json::array();
            for (const auto& [name, command] : commands_)
                names.push_back({{"name", name}});
            return names;
        }),
    });
    add(Command{
        .name = "query-qmp-schema",
        .doc = "Describes all commands, events and types.",
        .returns = array(schema_info()),
        .access = Access::Query,
        .handler = immediate([this](const Json&) -> Outcome { return describe_schema(*this); }),
    });
}

void Dispatcher::add(Command command) {
    if (command.arguments->kind != Kind::Object || !command.handler)
        throw std::logic_error(command.name + ": a command takes an object and has a handler");
    require_sound(command.name, *command.arguments);
    require_sound(command.name, *command.returns);
    const std::string name = command.name;
    if (!commands_.emplace(name, std::move(command)).second)
        throw std::logic_error("the command " + name + " is declared twice");
}

void Dispatcher::add(EventType event) {
    if (event.data)
        require_sound(event.name, *event.data);
    const std::string name = event.name;
    if (!events_.emplace(name, std::move(event)).second)
        throw std::logic_error("the event " + name + " is declared twice");
}

const Command* Dispatcher::find_command(std::string_view name) const {
    const auto found = commands_.find(name);
    return found == commands_.end() ? nullptr : &found->second;
}

const EventType* Dispatcher::find_event(std::string_view name) const {
    const auto found = events_.find(name);
    return found == events_.end() ? nullptr : &found->second;
}

} // namespace mfd::qmp
