#include "qmp/ctl/typed_text.hpp"

#include "qmp/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <utility>

namespace mfd::ctl {

using qmp::Json;

namespace {

constexpr std::array kUnits{
    std::pair{"max-bandwidth", Unit::BytesPerSecond},
    std::pair{"avail-switchover-bandwidth", Unit::BytesPerSecond},
    std::pair{"max-postcopy-bandwidth", Unit::BytesPerSecond},
    std::pair{"xbzrle-cache-size", Unit::Bytes},
    std::pair{"downtime-limit", Unit::Milliseconds},
    std::pair{"announce-initial", Unit::Milliseconds},
    std::pair{"announce-max", Unit::Milliseconds},
    std::pair{"announce-step", Unit::Milliseconds},
    std::pair{"x-checkpoint-delay", Unit::Milliseconds},
    std::pair{"x-vcpu-dirty-limit-period", Unit::Milliseconds},
    std::pair{"throttle-trigger-threshold", Unit::Percent},
    std::pair{"cpu-throttle-initial", Unit::Percent},
    std::pair{"cpu-throttle-increment", Unit::Percent},
    std::pair{"max-cpu-throttle", Unit::Percent},
};

Error bad_value(std::string_view name, const std::string& cause) {
    return Error{Errc::BadArgument, std::string(name) + ": " + cause, 0};
}

std::string join_words(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

Result<Json> number_value(std::string_view name, Unit unit, std::string_view text) {
    const auto as_json = [&](const auto& parsed) -> Result<Json> {
        if (!parsed)
            return bad_value(name, parsed.error().what);
        return Result<Json>(boost::system::in_place_value, *parsed);
    };
    switch (unit) {
    case Unit::BytesPerSecond:
        return as_json(parse_rate(text));
    case Unit::Bytes:
        return as_json(parse_size(text));
    case Unit::Milliseconds: {
        const auto time = parse_time(text);
        if (!time)
            return bad_value(name, time.error().what);
        return Result<Json>(boost::system::in_place_value, time->count());
    }
    case Unit::None:
    case Unit::Percent:
        break;
    }
    std::string_view digits = text;
    if (unit == Unit::Percent && digits.ends_with('%'))
        digits.remove_suffix(1);
    std::int64_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, fault] = std::from_chars(digits.data(), end, value);
    if (fault != std::errc() || stop != end)
        return bad_value(name, "'" + std::string(text) + "' is no whole number");
    return Result<Json>(boost::system::in_place_value, value);
}

Result<Json> json_value(std::string_view name, std::string_view text) {
    auto value = Json::parse(text, nullptr, false);
    if (value.is_discarded())
        return bad_value(name, "'" + std::string(text) + "' is no JSON text, which it takes");
    return Result<Json>(boost::system::in_place_value, std::move(value));
}

Result<Json> array_value(std::string_view name, std::string_view text) {
    if (text.starts_with('['))
        return json_value(name, text);
    return json_value(name, "[" + std::string(text) + "]");
}

// At single commas; two of them are one within a part.
std::vector<std::string> split_at_commas(std::string_view text) {
    std::vector<std::string> parts(1);
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != ',') {
            parts.back() += text[at];
        } else if (at + 1 < text.size() && text[at + 1] == ',') {
            parts.back() += ',';
            ++at;
        } else {
            parts.emplace_back();
        }
    }
    return parts;
}

} // namespace

Unit unit_of_parameter(std::string_view name) {
    const auto found = std::find_if(kUnits.begin(), kUnits.end(),
                                    [name](const auto& entry) { return entry.first == name; });
    return found != kUnits.end() ? found->second : Unit::None;
}

Result<bool> parse_switch(std::string_view name, std::string_view text) {
    if (text == "on" || text == "true" || text == "yes")
        return true;
    if (text == "off" || text == "false" || text == "no")
        return false;
    return bad_value(name, "'" + std::string(text) + "' is neither on nor off");
}

Result<Json> typed_value(const SchemaHelp& schema, const std::string& name, const std::string& type,
                         Unit unit, std::string_view text) {
    const auto kind = schema.kind(type);
    if (kind == "bool") {
        MFD_TRY(const bool value, parse_switch(name, text));
        return Result<Json>(boost::system::in_place_value, value);
    }
    if (kind == "int")
        return number_value(name, unit, text);
    if (kind == "enum") {
        const auto known = schema.values(type);
        if (std::find(known.begin(), known.end(), text) == known.end())
            return bad_value(name, "'" + std::string(text) + "' is none of " + join_words(known));
    }
    if (kind == "array")
        return array_value(name, text);
    if (kind == "object" || kind == "number")
        return json_value(name, text);
    return Result<Json>(boost::system::in_place_value, std::string(text));
}

std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
    const std::string* best = nullptr;
    std::size_t best_distance = word.size() / 3 + 2; // further away it is no slip of the hand
    for (const auto& candidate : known) {
        // Half a name is as good as a slip.
        const std::size_t distance = word.size() > 2 && candidate.find(word) != std::string::npos
                                         ? 1
                                         : edit_distance(word, candidate);
        if (distance < best_distance) {
            best = &candidate;
            best_distance = distance;
        }
    }
    return best != nullptr ? " Did you mean '" + *best + "'?" : std::string();
}

Result<SchemaHelp::Argument> find_argument(const SchemaHelp& schema, const std::string& command,
                                           const std::string& name) {
    const auto all = schema.arguments(command);
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
    if (found != all.end())
        return *found;
    std::vector<std::string> names;
    names.reserve(all.size());
    for (const auto& one : all)
        names.push_back(one.name);
    return Error{Errc::BadArgument, "the server knows no '" + name + "'." + suggestion(name, names),
                 0};
}

Result<Json> object_arguments(const SchemaHelp& schema, std::string_view text) {
    auto parts = split_at_commas(text);
    if (parts.front().starts_with("qom-type="))
        parts.front().erase(0, std::string_view("qom-type=").size());
    if (parts.front().empty() || parts.front().find('=') != std::string::npos)
        return Error{Errc::BadArgument,
                     "'" + std::string(text) +
                         "' begins with no type: write TYPE,id=ID,..., as in "
                         "memory-backend-memfd,id=ram1,size=1G",
                     0};
    MFD_TRY(const auto type, find_argument(schema, "object-add", "qom-type"));
    Json arguments = Json::object();
    MFD_TRY(arguments["qom-type"],
            typed_value(schema, "type", type.type, Unit::None, parts.front()));
    for (std::size_t at = 1; at < parts.size(); ++at) {
        const auto equals = parts[at].find('=');
        const std::string name = parts[at].substr(0, equals);
        // As QEMU reads it: a name alone is a switch.
        const std::string value = equals == std::string::npos ? "on" : parts[at].substr(equals + 1);
        MFD_TRY(const auto member, find_argument(schema, "object-add", name));
        MFD_TRY(arguments[name], typed_value(schema, name, member.type, Unit::Bytes, value));
    }
    if (!arguments.contains("id"))
        return Error{Errc::BadArgument, "'" + std::string(text) + "' lacks id=ID", 0};
    return Result<Json>(boost::system::in_place_value, std::move(arguments));
}

std::string parameter_text(const std::string& name, const Json& value) {
    if (value.is_boolean())
        return value.get<bool>() ? "on" : "off";
    if (value.is_string())
        return value.get<std::string>().empty() ? "(empty)" : value.get<std::string>();
    if (!value.is_number_unsigned() &&
        !(value.is_number_integer() && value.get<std::int64_t>() >= 0))
        return value.dump(-1, ' ', false, Json::error_handler_t::replace);
    const auto number = value.get<std::uint64_t>();
    switch (unit_of_parameter(name)) {
    case Unit::BytesPerSecond:
        return number == 0 ? (name == "max-bandwidth" ? "unlimited" : "as measured")
                           : format_rate(static_cast<double>(number));
    case Unit::Bytes:
        return format_bytes(number);
    case Unit::Milliseconds:
        return std::to_string(number) + " ms";
    case Unit::Percent:
        return std::to_string(number) + " %";
    case Unit::None:
        break;
    }
    return std::to_string(number);
}

} // namespace mfd::ctl
