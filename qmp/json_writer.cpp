#include "qmp/json_writer.hpp"

#include "qmp/utf8.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace mfd::qmp {

namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

void append_unit(std::string& out, std::uint32_t unit) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    out += "\\u";
    for (unsigned shift = 16; shift > 0; shift -= 4)
        out.push_back(kDigits[(unit >> (shift - 4)) & 0xF]);
}

void append_escaped(std::string& out, std::uint32_t code_point) {
    switch (code_point) {
    case '"':
        out += "\\\"";
        return;
    case '\\':
        out += "\\\\";
        return;
    case '\b':
        out += "\\b";
        return;
    case '\f':
        out += "\\f";
        return;
    case '\n':
        out += "\\n";
        return;
    case '\r':
        out += "\\r";
        return;
    case '\t':
        out += "\\t";
        return;
    default:
        break;
    }
    if (code_point > 0xFFFF) {
        append_unit(out, 0xD800 + ((code_point - 0x10000) >> 10));
        append_unit(out, 0xDC00 + ((code_point - 0x10000) & 0x3FF));
    } else if (code_point < 0x20 || code_point >= 0x7F) {
        append_unit(out, code_point);
    } else {
        out.push_back(static_cast<char>(code_point));
    }
}

std::size_t plain_prefix(std::string_view text) {
    std::size_t length = 0;
    while (length < text.size() && text[length] >= ' ' && text[length] <= '~' &&
           text[length] != '"' && text[length] != '\\')
        ++length;
    return length;
}

template <class Number, class... Format>
void append_number(std::string& out, Number value, Format... format) {
    // 17 digits, sign, point and exponent of a double; 20 digits of an integer.
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value, format...);
    out.append(text.data(), end.ptr);
}

void append_double(std::string& out, double value) {
    // JSON has no infinity and no NaN. The parser lets none in; null is what a reader copes with.
    if (!std::isfinite(value)) {
        out += "null";
        return;
    }
    append_number(out, value, std::chars_format::general, 17);
}

void append_array(std::string& out, const Json& value) {
    out.push_back('[');
    const char* separator = "";
    for (const Json& element : value) {
        out += separator;
        append_json(out, element);
        separator = ", ";
    }
    out.push_back(']');
}

void append_object(std::string& out, const Json& value) {
    out.push_back('{');
    const char* separator = "";
    for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
        out += separator;
        append_json_string(out, name);
        out += ": ";
        append_json(out, member);
        separator = ", ";
    }
    out.push_back('}');
}

} // namespace

void append_json_string(std::string& out, std::string_view text) {
    out.push_back('"');
    for (;;) {
        // Most of most strings stands for itself.
        const std::size_t plain = plain_prefix(text);
        out.append(text.substr(0, plain));
        text.remove_prefix(plain);
        if (text.empty())
            break;
        const Utf8Step step = decode_utf8(text);
        append_escaped(out, step.code_point.value_or(kReplacement));
        text.remove_prefix(step.length);
    }
    out.push_back('"');
}

void append_json(std::string& out, const Json& value) {
    switch (value.type()) {
    case Json::value_t::null:
    case Json::value_t::discarded:
    case Json::value_t::binary: // neither has a text, and nothing here makes one
        out += "null";
        return;
    case Json::value_t::boolean:
        out += value.get<bool>() ? "true" : "false";
        return;
    case Json::value_t::number_integer:
        append_number(out, value.get<std::int64_t>());
        return;
    case Json::value_t::number_unsigned:
        append_number(out, value.get<std::uint64_t>());
        return;
    case Json::value_t::number_float:
        append_double(out, value.get<double>());
        return;
    case Json::value_t::string:
        append_json_string(out, value.get_ref<const std::string&>());
        return;
    case Json::value_t::array:
        append_array(out, value);
        return;
    case Json::value_t::object:
        append_object(out, value);
        return;
    }
}

std::string write_json(const Json& value) {
    std::string out;
    append_json(out, value);
    return out;
}

} // namespace mfd::qmp
