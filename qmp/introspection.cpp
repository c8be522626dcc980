#include "qmp/introspection.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace mfd::qmp {

namespace {

using schema::Kind;
using schema::Type;

class Walk {
public:
    void visit(const Type& type) {
        if (!seen_.insert(&type).second)
            return;
        found_.push_back(&type);
        for (const schema::Member& member : type.members)
            visit(*member.type);
        for (const schema::Case& one : type.variants.cases)
            visit(*one.object);
        if (leaves_a_case_empty(type))
            visit(*schema::empty());
        if (type.element)
            visit(*type.element);
        for (const schema::TypeRef& choice : type.choices)
            visit(*choice);
    }

    std::vector<const Type*> take() { return std::move(found_); }

private:
    // A tag value that brings no members is described with the empty object.
    static bool leaves_a_case_empty(const Type& type) {
        if (type.variants.tag.empty())
            return false;
        const auto& values = find_member(type, type.variants.tag)->type->values;
        return std::any_of(values.begin(), values.end(), [&](const schema::EnumValue& value) {
            return find_case(type, value.name) == nullptr;
        });
    }

    std::set<const Type*> seen_;
    std::vector<const Type*> found_;
};

// QEMU shows one integer type, whatever the range; ranges are found in the documentation.
std::string_view builtin_name(Kind kind) {
    switch (kind) {
    case Kind::String:
        return "str";
    case Kind::Int64:
    case Kind::Uint8:
    case Kind::Uint16:
    case Kind::Uint32:
    case Kind::Uint64:
    case Kind::Size:
        return "int";
    case Kind::Number:
        return "number";
    case Kind::Bool:
        return "bool";
    case Kind::Null:
        return "null";
    case Kind::Any:
        return "any";
    case Kind::Enum:
    case Kind::Object:
    case Kind::Array:
    case Kind::Alternate:
        break;
    }
    return {};
}

std::string_view json_type(Kind kind) {
    const auto name = builtin_name(kind);
    if (name == "str")
        return "string";
    if (name == "bool")
        return "boolean";
    return name == "any" ? "value" : name;
}

class Describer {
public:
    explicit Describer(const Dispatcher& dispatcher) : types_(reachable_types(dispatcher)) {
        int next = 0;
        for (const Type* type : types_)
            if (type->kind != Kind::Array && builtin_name(type->kind).empty())
                names_[type] = std::to_string(next++);
    }

    Json describe(const Dispatcher& dispatcher) {
        for (const auto& [name, command] : dispatcher.commands())
            add_command(command);
        for (const auto& [name, event] : dispatcher.events())
            add(name, "event",
                {{"arg-type", name_of(event.data ? *event.data : *schema::empty())}});
        for (const Type* type : types_)
            add_type(*type);
        return std::move(out_);
    }

private:
    [[nodiscard]] std::string name_of(const Type& type) const {
        if (type.kind == Kind::Array)
            return "[" + name_of(*type.element) + "]";
        const auto found = names_.find(&type);
        return found != names_.end() ? found->second : std::string(builtin_name(type.kind));
    }

    // The integer types share one name, and so do two arrays of one type: the first one speaks.
    void add(const std::string& name, std::string_view meta_type, Json members) {
        if (!added_.insert(name).second)
            return;
        members["name"] = name;
        members["meta-type"] = meta_type;
        out_.push_back(std::move(members));
    }

    void add_command(const Command& command) {
        Json entry = {{"arg-type", name_of(*command.arguments)},
                      {"ret-type", name_of(*command.returns)}};
        if (command.out_of_band == OutOfBand::Allowed)
            entry["allow-oob"] = true;
        if (!command.features.empty())
            entry["features"] = command.features;
        add(command.name, "command", std::move(entry));
    }

    void add_type(const Type& type) {
        const std::string name = name_of(type);
        switch (type.kind) {
        case Kind::Object:
            add(name, "object", describe_object(type));
            break;
        case Kind::Enum:
            add(name, "enum", describe_enum(type));
            break;
        case Kind::Array:
            add(name, "array", {{"element-type", name_of(*type.element)}});
            break;
        case Kind::Alternate: {
            Json choices = Json::array();
            for (const schema::TypeRef& choice : type.choices)
                choices.push_back({{"type", name_of(*choice)}});
            add(name, "alternate", {{"members", std::move(choices)}});
            break;
        }
        case Kind::String:
        case Kind::Int64:
        case Kind::Uint8:
        case Kind::Uint16:
        case Kind::Uint32:
        case Kind::Uint64:
        case Kind::Size:
        case Kind::Number:
        case Kind::Bool:
        case Kind::Null:
        case Kind::Any:
            add(name, "builtin", {{"json-type", json_type(type.kind)}});
            break;
        }
    }

    [[nodiscard]] Json describe_object(const Type& type) const {
        Json members = Json::array();
        for (const schema::Member& member : type.members) {
            Json entry = {{"name", member.name}, {"type", name_of(*member.type)}};
            if (member.presence == schema::Presence::Optional)
                entry["default"] = nullptr;
            if (!member.features.empty())
                entry["features"] = member.features;
            members.push_back(std::move(entry));
        }
        Json out = {{"members", std::move(members)}};
        if (type.variants.tag.empty())
            return out;
        Json variants = Json::array();
        for (const auto& value : find_member(type, type.variants.tag)->type->values) {
            const Type* one = find_case(type, value.name);
            variants.push_back({{"case", value.name},
                                {"type", name_of(one != nullptr ? *one : *schema::empty())}});
        }
        out["tag"] = type.variants.tag;
        out["variants"] = std::move(variants);
        return out;
    }

    static Json describe_enum(const Type& type) {
        Json members = Json::array();
        Json values = Json::array();
        for (const schema::EnumValue& value : type.values) {
            members.push_back({{"name", value.name}});
            values.push_back(value.name);
        }
        return {{"members", std::move(members)}, {"values", std::move(values)}};
    }

    std::vector<const Type*> types_;
    std::map<const Type*, std::string> names_;
    std::set<std::string> added_;
    Json out_ = Json::array();
};

} // namespace

std::vector<const Type*> reachable_types(const Dispatcher& dispatcher) {
    Walk walk;
    for (const auto& [name, command] : dispatcher.commands()) {
        walk.visit(*command.arguments);
        walk.visit(*command.returns);
    }
    for (const auto& [name, event] : dispatcher.events())
        walk.visit(event.data ? *event.data : *schema::empty());
    return walk.take();
}

Json describe_schema(const Dispatcher& dispatcher) {
    return Describer(dispatcher).describe(dispatcher);
}

schema::TypeRef schema_info() {
    using namespace schema;
    static const TypeRef type = [] {
        const auto features = [] { return optional("features", array(str())); };
        const TypeRef member =
            object("SchemaInfoObjectMember", {required("name", str()), required("type", str()),
                                              optional("default", any()), features()});
        const TypeRef variant =
            object("SchemaInfoObjectVariant", {required("case", str()), required("type", str())});
        const TypeRef meta = enumeration("SchemaMetaType", {"builtin", "enum", "array", "object",
                                                            "alternate", "command", "event"});
        return object(
            "SchemaInfo",
            {required("name", str(), "Opaque, but for builtins, commands and events."),
             required("meta-type", meta)},
            Variants{
                "meta-type",
                {{"builtin", object("SchemaInfoBuiltin", {required("json-type", str())})},
                 {"enum", object("SchemaInfoEnum",
                                 {required("members", array(object("SchemaInfoEnumMember",
                                                                   {required("name", str())}))),
                                  required("values", array(str()), "", {"deprecated"})})},
                 {"array", object("SchemaInfoArray", {required("element-type", str())})},
                 {"object", object("SchemaInfoObject",
                                   {required("members", array(member)), optional("tag", str()),
                                    optional("variants", array(variant))})},
                 {"alternate",
                  object("SchemaInfoAlternate",
                         {required("members", array(object("SchemaInfoAlternateMember",
                                                           {required("type", str())})))})},
                 {"command", object("SchemaInfoCommand",
                                    {required("arg-type", str()), required("ret-type", str()),
                                     optional("allow-oob", boolean()), features()})},
                 {"event", object("SchemaInfoEvent", {required("arg-type", str())})}}});
    }();
    return type;
}

} // namespace mfd::qmp
