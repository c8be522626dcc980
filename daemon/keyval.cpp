#include "daemon/keyval.hpp"

#include "daemon/size_text.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace mfd {

namespace {

// An option as long as this is a mistake; paths are at most 4096 bytes.
constexpr std::size_t kMaxOptionBytes = std::size_t{64} * 1024;

// Cuts the part up to the next single comma off `rest`, with doubled commas made single.
std::string take_part(std::string_view& rest) {
    std::string part;
    while (!rest.empty()) {
        const char c = rest.front();
        rest.remove_prefix(1);
        if (c == ',') {
            if (rest.empty() || rest.front() != ',')
                break;
            rest.remove_prefix(1);
        }
        part.push_back(c);
    }
    return part;
}

KeyValue switch_value(std::string_view part) {
    if (part.size() > 2 && part.starts_with("no"))
        return {std::string(part.substr(2)), "off"};
    return {std::string(part), "on"};
}

} // namespace

std::optional<std::string_view> KeyValueList::find(std::string_view key) const {
    const auto item = std::find_if(items_.rbegin(), items_.rend(),
                                   [key](const KeyValue& kv) { return kv.key == key; });
    if (item == items_.rend())
        return std::nullopt;
    return item->value;
}

std::vector<std::string_view> KeyValueList::find_all(std::string_view key) const {
    std::vector<std::string_view> values;
    for (const KeyValue& kv : items_)
        if (kv.key == key)
            values.emplace_back(kv.value);
    return values;
}

std::optional<std::string_view>
KeyValueList::first_unknown(std::span<const std::string_view> known) const {
    for (const KeyValue& kv : items_)
        if (std::find(known.begin(), known.end(), kv.key) == known.end())
            return kv.key;
    return std::nullopt;
}

Result<KeyValueList> parse_keyval(std::string_view text, std::string_view implied_key) {
    if (text.size() > kMaxOptionBytes)
        return Error{Errc::BadArgument, "option is longer than 65536 bytes"};
    if (text.find('\0') != std::string_view::npos)
        return Error{Errc::BadArgument, "option has a zero byte in it"};
    std::vector<KeyValue> items;
    bool first = true;
    while (!text.empty()) {
        const bool implied = std::exchange(first, false) && !implied_key.empty();
        // A key ends at the first of both, so only values can have commas in them.
        const std::size_t key_end = std::min(text.find_first_of("=,"), text.size());
        std::string key(text.substr(0, key_end));
        if (key_end < text.size() && text[key_end] == '=') {
            if (key.empty())
                return Error{Errc::BadArgument, "Expected parameter before '='"};
            text.remove_prefix(key_end + 1);
            items.push_back({std::move(key), take_part(text)});
        } else if (implied && !key.empty()) {
            items.push_back({std::string(implied_key), take_part(text)});
        } else {
            text.remove_prefix(std::min(key_end + 1, text.size()));
            if (!key.empty()) // a comma at the end or two with nothing between say nothing
                items.push_back(switch_value(key));
        }
    }
    return KeyValueList(std::move(items));
}

Result<bool> parse_on_off(std::string_view key, std::string_view value) {
    if (value == "on" || value == "yes" || value == "true" || value == "y")
        return true;
    if (value == "off" || value == "no" || value == "false" || value == "n")
        return false;
    return Error{Errc::BadArgument, "Parameter '" + std::string(key) + "' expects 'on' or 'off'"};
}

Result<std::uint64_t> parse_option_size(std::string_view key, std::string_view value) {
    auto size = parse_size_text(value);
    if (!size.has_value())
        return Error{Errc::BadArgument, "Parameter '" + std::string(key) + "' expects a size value",
                     size.error().sys};
    return size;
}

Result<std::uint64_t> parse_option_number(std::string_view key, std::string_view value) {
    const bool hex = value.starts_with("0x") || value.starts_with("0X");
    const std::string_view digits = hex ? value.substr(2) : value;
    // A number with a leading 0 is octal in QEMU's options.
    const int base = hex ? 16 : (digits.size() > 1 && digits.front() == '0' ? 8 : 10);
    std::uint64_t number = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
    if (error != std::errc() || end != digits.data() + digits.size())
        return Error{Errc::BadArgument,
                     "Parameter '" + std::string(key) + "' expects a uint64 value"};
    return number;
}

} // namespace mfd
