#include "qmp/schema.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mfd::qmp::schema {

namespace {

TypeRef builtin(Kind kind, const char* name) {
    return std::make_shared<const Type>(Type{.kind = kind, .name = name});
}

} // namespace

TypeRef str() {
    static const TypeRef type = builtin(Kind::String, "str");
    return type;
}

TypeRef int64() {
    static const TypeRef type = builtin(Kind::Int64, "int");
    return type;
}

TypeRef uint8() {
    static const TypeRef type = builtin(Kind::Uint8, "uint8");
    return type;
}

TypeRef uint16() {
    static const TypeRef type = builtin(Kind::Uint16, "uint16");
    return type;
}

TypeRef uint32() {
    static const TypeRef type = builtin(Kind::Uint32, "uint32");
    return type;
}

TypeRef uint64() {
    static const TypeRef type = builtin(Kind::Uint64, "uint64");
    return type;
}

TypeRef size() {
    static const TypeRef type = builtin(Kind::Size, "size");
    return type;
}

TypeRef number() {
    static const TypeRef type = builtin(Kind::Number, "number");
    return type;
}

TypeRef boolean() {
    static const TypeRef type = builtin(Kind::Bool, "bool");
    return type;
}

TypeRef null() {
    static const TypeRef type = builtin(Kind::Null, "null");
    return type;
}

TypeRef any() {
    static const TypeRef type = builtin(Kind::Any, "any");
    return type;
}

TypeRef str_or_null() {
    static const TypeRef type = alternate("StrOrNull", {str(), null()});
    return type;
}

TypeRef empty() {
    static const TypeRef type = object("Empty", {});
    return type;
}

TypeRef enumeration(std::string name, std::vector<EnumValue> values, std::string doc) {
    return std::make_shared<const Type>(Type{.kind = Kind::Enum,
                                             .name = std::move(name),
                                             .doc = std::move(doc),
                                             .values = std::move(values)});
}

TypeRef object(std::string name, std::vector<Member> members, std::string doc) {
    return object(std::move(name), std::move(members), Variants{}, std::move(doc));
}

TypeRef object(std::string name, std::vector<Member> members, Variants variants, std::string doc) {
    return std::make_shared<const Type>(Type{.kind = Kind::Object,
                                             .name = std::move(name),
                                             .doc = std::move(doc),
                                             .members = std::move(members),
                                             .variants = std::move(variants)});
}

TypeRef array(const TypeRef& element) {
    return std::make_shared<const Type>(
        Type{.kind = Kind::Array, .name = "[" + element->name + "]", .element = element});
}

TypeRef alternate(std::string name, std::vector<TypeRef> choices, std::string doc) {
    return std::make_shared<const Type>(Type{.kind = Kind::Alternate,
                                             .name = std::move(name),
                                             .doc = std::move(doc),
                                             .choices = std::move(choices)});
}

Member required(std::string name, TypeRef type, std::string doc, Features features) {
    return Member{std::move(name), std::move(type), Presence::Required, std::move(doc),
                  std::move(features)};
}

Member optional(std::string name, TypeRef type, std::string doc, Features features) {
    return Member{std::move(name), std::move(type), Presence::Optional, std::move(doc),
                  std::move(features)};
}

std::vector<Member> extend(const TypeRef& base, std::vector<Member> more) {
    std::vector<Member> all = base->members;
    all.insert(all.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
    return all;
}

const EnumValue* find_value(const Type& enumeration, std::string_view name) {
    const auto found = std::find_if(enumeration.values.begin(), enumeration.values.end(),
                                    [&](const EnumValue& value) { return value.name == name; });
    return found == enumeration.values.end() ? nullptr : &*found;
}

const Member* find_member(const Type& object, std::string_view name) {
    const auto found = std::find_if(object.members.begin(), object.members.end(),
                                    [&](const Member& member) { return member.name == name; });
    return found == object.members.end() ? nullptr : &*found;
}

const Type* find_case(const Type& object, std::string_view tag_value) {
    const auto& cases = object.variants.cases;
    const auto found = std::find_if(cases.begin(), cases.end(),
                                    [&](const Case& one) { return one.name == tag_value; });
    return found == cases.end() ? nullptr : found->object.get();
}

} // namespace mfd::qmp::schema
