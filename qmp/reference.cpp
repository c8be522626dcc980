#include "qmp/reference.hpp"

#include "qmp/introspection.hpp"

#include <map>
#include <string>
#include <string_view>

namespace mfd::qmp {

namespace {

using schema::Kind;
using schema::Presence;
using schema::Type;

// Cells of a table are one line and contain no bar that is not escaped.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '|')
            out += "\\|";
        else
            out.push_back(c == '\n' ? ' ' : c);
    }
    return out;
}

// Types with a section of their own.
bool has_section(const Type& type) {
    return type.kind == Kind::Enum || type.kind == Kind::Alternate ||
           (type.kind == Kind::Object && !(type.members.empty() && type.variants.tag.empty()));
}

std::string mention(const Type& type) {
    if (type.kind == Kind::Array)
        return "array of " + mention(*type.element);
    // Headings turn into anchors in lower case.
    std::string anchor;
    for (const char c : type.name)
        anchor.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    return has_section(type) ? "[" + type.name + "](#" + anchor + ")" : type.name;
}

void write_features(std::ostream& out, const schema::Features& features) {
    for (const std::string& feature : features)
        out << " *" << feature << ".*";
}

void write_members(std::ostream& out, const Type& type) {
    out << "\n| member | type | | |\n| --- | --- | --- | --- |\n";
    for (const schema::Member& member : type.members) {
        out << "| `" << member.name << "` | " << mention(*member.type) << " | "
            << (member.presence == Presence::Optional ? "optional" : "") << " | "
            << cell(member.doc);
        write_features(out, member.features);
        out << " |\n";
    }
    for (const schema::Case& one : type.variants.cases)
        if (has_section(*one.object))
            out << "\nWith `" << type.variants.tag << "` `" << one.name << "` also the members of "
                << mention(*one.object) << ".\n";
}

void write_command(std::ostream& out, const Command& command) {
    out << "\n### " << command.name << "\n\n" << command.doc;
    write_features(out, command.features);
    out << "\n";
    if (command.access == Access::Query)
        out << "\nReads only: also served on sockets for queries.\n";
    if (command.out_of_band == OutOfBand::Allowed)
        out << "\nMay be executed out of band.\n";
    if (has_section(*command.arguments)) {
        out << "\nArguments:\n";
        write_members(out, *command.arguments);
    }
    if (command.returns->kind != Kind::Object || has_section(*command.returns))
        out << "\nReturns: " << mention(*command.returns) << ".\n";
}

void write_event(std::ostream& out, const EventType& event) {
    out << "\n### " << event.name << "\n\n" << event.doc << "\n";
    if (event.data)
        write_members(out, *event.data);
}

void write_type(std::ostream& out, const Type& type) {
    out << "\n### " << type.name << "\n";
    if (!type.doc.empty())
        out << "\n" << type.doc << "\n";
    if (type.kind == Kind::Object) {
        write_members(out, type);
    } else if (type.kind == Kind::Enum) {
        out << "\n";
        for (const schema::EnumValue& value : type.values)
            out << "- `" << value.name << "`" << (value.doc.empty() ? "" : ": ") << value.doc
                << "\n";
    } else {
        out << "\nOne of:";
        for (const schema::TypeRef& choice : type.choices)
            out << " " << mention(*choice);
        out << ".\n";
    }
}

} // namespace

void write_reference(std::ostream& out, const Dispatcher& dispatcher) {
    // Arguments stand with their command and data with their event, unless they are mentioned
    // elsewhere.
    std::map<std::string, const Type*> types;
    const auto note = [&](const Type& type) {
        if (has_section(type))
            types.emplace(type.name, &type);
    };
    for (const auto& [name, command] : dispatcher.commands())
        note(*command.returns);
    for (const Type* type : reachable_types(dispatcher)) {
        for (const schema::Member& member : type->members)
            note(*member.type);
        for (const schema::Case& one : type->variants.cases)
            note(*one.object);
        for (const schema::TypeRef& choice : type->choices)
            note(*choice);
        if (type->element)
            note(*type->element);
    }

    out << "# Protocol reference\n\n## Commands\n";
    for (const auto& [name, command] : dispatcher.commands())
        write_command(out, command);
    out << "\n## Events\n";
    for (const auto& [name, event] : dispatcher.events())
        write_event(out, event);
    out << "\n## Types\n";
    for (const auto& [name, type] : types)
        write_type(out, *type);
}

} // namespace mfd::qmp
