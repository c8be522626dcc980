#include "qmp/schema_check.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <string_view>

namespace mfd::qmp::schema {

namespace {

using Fault = std::optional<std::string>;

// Where a value stands in the arguments: `channels[0].addr.offset`. Texts about enumerations and
// small integers name only the last component, and an array element has none: QEMU says 'null'.
struct Place {
    std::string path = {};
    std::string last = {};

    [[nodiscard]] Place member(const std::string& name) const {
        return {path.empty() ? name : path + "." + name, name};
    }
    [[nodiscard]] Place element(std::size_t index) const {
        return {path + "[" + std::to_string(index) + "]", "null"};
    }
};

std::string wrong_type(std::string_view name, std::string_view expected) {
    return "Invalid parameter type for '" + std::string(name) +
           "', expected: " + std::string(expected);
}

Fault check_value(const Type& type, Json& value, const Place& place);

Fault check_signed(Json& value, const Place& place) {
    // Above the signed range the value is stored as unsigned; in range either storage will do.
    if (value.is_number_unsigned() &&
        value.get<std::uint64_t>() <=
            static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return std::nullopt;
    if (value.is_number_integer() && !value.is_number_unsigned())
        return std::nullopt;
    return wrong_type(place.path, "integer");
}

Fault check_unsigned(Json& value, const Place& place, std::uint64_t max, std::string_view name) {
    if (!value.is_number_integer())
        return "Parameter '" + place.path + "' expects uint64";
    if (!value.is_number_unsigned())
        value = static_cast<std::uint64_t>(value.get<std::int64_t>());
    if (value.get<std::uint64_t>() > max)
        return "Parameter '" + place.last + "' expects " + std::string(name);
    return std::nullopt;
}

Fault check_enum(const Type& type, const Json& value, const Place& place) {
    if (!value.is_string())
        return wrong_type(place.path, "string");
    const auto& name = value.get_ref<const std::string&>();
    if (find_value(type, name) == nullptr)
        return "Parameter '" + place.last + "' does not accept value '" + name + "'";
    return std::nullopt;
}

// Checks the members of `type` and, recursively, those of the case the tag selects; all of them
// stand in the same JSON object. `known` collects their names.
Fault check_members(const Type& type, Json& value, const Place& place,
                    std::set<std::string_view>& known) {
    for (const Member& member : type.members) {
        known.insert(member.name);
        const auto found = value.find(member.name);
        if (found != value.end()) {
            if (auto fault = check_value(*member.type, *found, place.member(member.name)))
                return fault;
        } else if (member.presence == Presence::Required) {
            return "Parameter '" + place.member(member.name).path + "' is missing";
        }
    }
    if (type.variants.tag.empty())
        return std::nullopt;
    const auto tag = value.find(type.variants.tag);
    const Type* selected = tag != value.end() && tag->is_string()
                               ? find_case(type, tag->get_ref<const std::string&>())
                               : nullptr;
    return selected == nullptr ? std::nullopt : check_members(*selected, value, place, known);
}

Fault check_object(const Type& type, Json& value, const Place& place) {
    if (!value.is_object())
        return wrong_type(place.path, "object");
    std::set<std::string_view> known;
    if (auto fault = check_members(type, value, place, known))
        return fault;
    for (const auto& [name, ignored] : value.items())
        if (known.count(name) == 0)
            return "Parameter '" + place.member(name).path + "' is unexpected";
    return std::nullopt;
}

Fault check_array(const Type& type, Json& value, const Place& place) {
    if (!value.is_array())
        return wrong_type(place.path, "array");
    for (std::size_t i = 0; i < value.size(); ++i)
        if (auto fault = check_value(*type.element, value[i], place.element(i)))
            return fault;
    return std::nullopt;
}

// Only the JSON type decides which of the choices is meant.
bool fits_json_type(const Type& type, const Json& value) {
    switch (type.kind) {
    case Kind::String:
    case Kind::Enum:
        return value.is_string();
    case Kind::Int64:
    case Kind::Uint8:
    case Kind::Uint16:
    case Kind::Uint32:
    case Kind::Uint64:
    case Kind::Size:
        return value.is_number_integer();
    case Kind::Number:
        return value.is_number();
    case Kind::Bool:
        return value.is_boolean();
    case Kind::Null:
        return value.is_null();
    case Kind::Object:
        return value.is_object();
    case Kind::Array:
        return value.is_array();
    case Kind::Alternate:
        return std::any_of(type.choices.begin(), type.choices.end(),
                           [&](const TypeRef& choice) { return fits_json_type(*choice, value); });
    case Kind::Any:
        return true;
    }
    return false;
}

Fault check_alternate(const Type& type, Json& value, const Place& place) {
    for (const TypeRef& choice : type.choices)
        if (fits_json_type(*choice, value))
            return check_value(*choice, value, place);
    return wrong_type(place.last, type.name);
}

Fault check_value(const Type& type, Json& value, const Place& place) {
    switch (type.kind) {
    case Kind::String:
        return value.is_string() ? std::nullopt : Fault(wrong_type(place.path, "string"));
    case Kind::Int64:
        return check_signed(value, place);
    case Kind::Uint8:
        return check_unsigned(value, place, std::numeric_limits<std::uint8_t>::max(), "uint8_t");
    case Kind::Uint16:
        return check_unsigned(value, place, std::numeric_limits<std::uint16_t>::max(), "uint16_t");
    case Kind::Uint32:
        return check_unsigned(value, place, std::numeric_limits<std::uint32_t>::max(), "uint32_t");
    case Kind::Uint64:
    case Kind::Size:
        return check_unsigned(value, place, std::numeric_limits<std::uint64_t>::max(), "uint64");
    case Kind::Number:
        return value.is_number() ? std::nullopt : Fault(wrong_type(place.path, "number"));
    case Kind::Bool:
        return value.is_boolean() ? std::nullopt : Fault(wrong_type(place.path, "boolean"));
    case Kind::Null:
        return value.is_null() ? std::nullopt : Fault(wrong_type(place.path, "null"));
    case Kind::Enum:
        return check_enum(type, value, place);
    case Kind::Object:
        return check_object(type, value, place);
    case Kind::Array:
        return check_array(type, value, place);
    case Kind::Alternate:
        return check_alternate(type, value, place);
    case Kind::Any:
        return std::nullopt;
    }
    return std::nullopt;
}

} // namespace

Fault check(const Type& type, Json& value) {
    return check_value(type, value, Place{});
}

Fault find_mismatch(const Type& type, const Json& value) {
    Json copy = value;
    return check(type, copy);
}

} // namespace mfd::qmp::schema
