#include "qmp/ctl/reply_fields.hpp"

namespace mfd::ctl {

using qmp::Json;

namespace {

const Json* find(const Json& object, const char* name) {
    const auto member = object.find(name); // end() if it is no object
    return member != object.end() ? &*member : nullptr;
}

} // namespace

std::uint64_t number_in(const Json& object, const char* name) {
    const Json* member = find(object, name);
    if (member == nullptr || !member->is_number_integer())
        return 0;
    if (!member->is_number_unsigned() && member->get<std::int64_t>() < 0)
        return 0;
    return member->get<std::uint64_t>();
}

std::string text_in(const Json& object, const char* name) {
    const Json* member = find(object, name);
    return member != nullptr && member->is_string() ? member->get<std::string>() : std::string();
}

bool flag_in(const Json& object, const char* name) {
    const Json* member = find(object, name);
    return member != nullptr && member->is_boolean() && member->get<bool>();
}

Json object_in(const Json& object, const char* name) {
    const Json* member = find(object, name);
    return member != nullptr && member->is_object() ? *member : Json::object();
}

Json array_in(const Json& object, const char* name) {
    const Json* member = find(object, name);
    return member != nullptr && member->is_array() ? *member : Json::array();
}

} // namespace mfd::ctl
