#include "daemon/guest/property_source.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace mfd {

namespace {

constexpr std::uint32_t kMax16 = std::numeric_limits<std::uint16_t>::max();

Error bad(std::string_view before, std::string_view name, std::string_view after) {
    return Error{Errc::BadArgument,
                 std::string(before) + "'" + std::string(name) + "'" + std::string(after)};
}

Error wrong_type(std::string_view name, std::string_view expected) {
    return bad("Invalid parameter type for ", name, ", expected: " + std::string(expected));
}

// QEMU takes a negative number for an unsigned one modulo 2^64.
std::optional<std::uint64_t> json_unsigned(const nlohmann::json& value) {
    if (value.is_number_unsigned())
        return value.get<std::uint64_t>();
    if (value.is_number_integer())
        return static_cast<std::uint64_t>(value.get<std::int64_t>());
    return std::nullopt;
}

Result<std::optional<std::uint32_t>> narrowed(std::string_view name,
                                              std::optional<std::uint64_t> value) {
    if (!value)
        return std::optional<std::uint32_t>();
    if (*value > std::numeric_limits<std::uint32_t>::max())
        return bad("Parameter ", name, " expects uint32_t");
    return std::optional(static_cast<std::uint32_t>(*value));
}

// "3" or "0-2", appended to `nodes`.
Result<void> append_node_range(std::string_view name, std::string_view text,
                               std::vector<std::uint16_t>& nodes) {
    const auto wrong = [name] {
        return bad("Parameter ", name, " expects a uint64 value or range");
    };
    std::uint64_t first = 0;
    const char* const end = text.data() + text.size();
    auto [next, error] = std::from_chars(text.data(), end, first);
    if (error != std::errc())
        return wrong();
    std::uint64_t last = first;
    if (next != end && *next == '-') {
        const auto after = std::from_chars(next + 1, end, last);
        if (after.ec != std::errc() || last < first)
            return wrong();
        next = after.ptr;
    }
    if (next != end)
        return wrong();
    if (last > kMax16)
        return bad("Parameter ", "null", " expects uint16_t");
    for (std::uint64_t node = first; node <= last; ++node)
        nodes.push_back(static_cast<std::uint16_t>(node));
    return {};
}

} // namespace

Result<std::string> PropertySource::required_text(std::string_view name) {
    MFD_TRY(auto value, text(name));
    if (!value)
        return bad("Parameter ", name, " is missing");
    return std::move(*value);
}

Result<std::uint64_t> PropertySource::required_size(std::string_view name) {
    MFD_TRY(const auto value, size(name));
    if (!value)
        return bad("Parameter ", name, " is missing");
    return *value;
}

Result<std::optional<std::size_t>> PropertySource::choice(std::string_view name,
                                                          std::span<const std::string_view> names) {
    MFD_TRY(const auto value, text(name));
    if (!value)
        return std::optional<std::size_t>();
    const auto found = std::find(names.begin(), names.end(), *value);
    if (found == names.end())
        return bad("Parameter ", name, " does not accept value '" + *value + "'");
    return std::optional(static_cast<std::size_t>(found - names.begin()));
}

const nlohmann::json* JsonSource::member(std::string_view name) {
    asked_.push_back(name);
    const auto found = object_.find(std::string(name));
    return found == object_.end() ? nullptr : &*found;
}

Result<std::optional<bool>> JsonSource::flag(std::string_view name) {
    const auto* value = member(name);
    if (value == nullptr)
        return std::optional<bool>();
    if (!value->is_boolean())
        return wrong_type(name, "boolean");
    return std::optional(value->get<bool>());
}

Result<std::optional<std::uint64_t>> JsonSource::size(std::string_view name) {
    const auto* value = member(name);
    if (value == nullptr)
        return std::optional<std::uint64_t>();
    const auto number = json_unsigned(*value);
    if (!number)
        return bad("Parameter ", name, " expects uint64");
    return number;
}

Result<std::optional<std::uint32_t>> JsonSource::number32(std::string_view name) {
    MFD_TRY(const auto value, size(name));
    return narrowed(name, value);
}

Result<std::optional<std::uint64_t>> JsonSource::number64(std::string_view name) {
    return size(name);
}

Result<std::optional<std::string>> JsonSource::text(std::string_view name) {
    const auto* value = member(name);
    if (value == nullptr)
        return std::optional<std::string>();
    if (!value->is_string())
        return wrong_type(name, "string");
    return std::optional(value->get<std::string>());
}

Result<std::optional<std::vector<std::uint16_t>>> JsonSource::nodes(std::string_view name) {
    const auto* value = member(name);
    if (value == nullptr)
        return std::optional<std::vector<std::uint16_t>>();
    if (!value->is_array())
        return wrong_type(name, "array");
    std::vector<std::uint16_t> nodes;
    for (std::size_t i = 0; i < value->size(); ++i) {
        const auto node = json_unsigned((*value)[i]);
        if (!node)
            return bad("Parameter ", std::string(name) + "[" + std::to_string(i) + "]",
                       " expects uint64");
        if (*node > kMax16) // the name of an array's element is "null" in QEMU's text
            return bad("Parameter ", "null", " expects uint16_t");
        nodes.push_back(static_cast<std::uint16_t>(*node));
    }
    return std::optional(std::move(nodes));
}

Result<void> JsonSource::finish() {
    for (const auto& [name, value] : object_.items())
        if (std::find(asked_.begin(), asked_.end(), name) == asked_.end())
            return bad("Parameter ", name, " is unexpected");
    return {};
}

std::optional<std::string_view> KeyvalSource::value(std::string_view name) {
    asked_.push_back(name);
    return list_.find(name);
}

Result<std::optional<bool>> KeyvalSource::flag(std::string_view name) {
    const auto given = value(name);
    if (!given)
        return std::optional<bool>();
    MFD_TRY(const bool on, parse_on_off(name, *given));
    return std::optional(on);
}

Result<std::optional<std::uint64_t>> KeyvalSource::size(std::string_view name) {
    const auto given = value(name);
    if (!given)
        return std::optional<std::uint64_t>();
    MFD_TRY(const std::uint64_t bytes, parse_option_size(name, *given));
    return std::optional(bytes);
}

Result<std::optional<std::uint32_t>> KeyvalSource::number32(std::string_view name) {
    MFD_TRY(const auto number, number64(name));
    return narrowed(name, number);
}

Result<std::optional<std::uint64_t>> KeyvalSource::number64(std::string_view name) {
    const auto given = value(name);
    if (!given)
        return std::optional<std::uint64_t>();
    MFD_TRY(const std::uint64_t number, parse_option_number(name, *given));
    return std::optional(number);
}

Result<std::optional<std::string>> KeyvalSource::text(std::string_view name) {
    const auto given = value(name);
    if (!given)
        return std::optional<std::string>();
    return std::optional(std::string(*given));
}

Result<std::optional<std::vector<std::uint16_t>>> KeyvalSource::nodes(std::string_view name) {
    asked_.push_back(name);
    const auto given = list_.find_all(name);
    if (given.empty())
        return std::optional<std::vector<std::uint16_t>>();
    std::vector<std::uint16_t> nodes;
    for (const std::string_view text : given)
        MFD_CHECK(append_node_range(name, text, nodes));
    return std::optional(std::move(nodes));
}

Result<void> KeyvalSource::finish() {
    if (const auto unknown = list_.first_unknown(asked_))
        return bad("Invalid parameter ", *unknown, "");
    return {};
}

} // namespace mfd
