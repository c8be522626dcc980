#include "qmp/json_string.hpp"

#include "qmp/utf8.hpp"

#include <charconv>
#include <cstdint>

namespace mfd::qmp {

namespace {

constexpr std::size_t kUnicodeEscape = 6; // \uXXXX

// The code unit of the \uXXXX at the front of `text`, or nothing if there is none.
std::optional<std::uint32_t> code_unit(std::string_view text) {
    if (text.size() < kUnicodeEscape || text[0] != '\\' || text[1] != 'u')
        return std::nullopt;
    std::uint32_t unit = 0;
    const char* end = text.data() + kUnicodeEscape;
    const auto read = std::from_chars(text.data() + 2, end, unit, 16);
    return read.ec == std::errc{} && read.ptr == end ? std::optional(unit) : std::nullopt;
}

constexpr bool is_leading(std::uint32_t unit) {
    return unit >= 0xD800 && unit <= 0xDBFF;
}
constexpr bool is_trailing(std::uint32_t unit) {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

struct Escape {
    std::optional<std::uint32_t> code_point;
    std::size_t length;
};

// The character written as one \uXXXX, or as two for a surrogate pair.
Escape decode_unicode_escape(std::string_view text) {
    const auto first = code_unit(text);
    if (!first || !is_leading(*first))
        return {first, kUnicodeEscape};
    const auto second = code_unit(text.substr(kUnicodeEscape));
    if (!second || !is_trailing(*second))
        return {std::nullopt, kUnicodeEscape};
    return {0x10000 + ((*first & 0x3FF) << 10) + (*second & 0x3FF), 2 * kUnicodeEscape};
}

std::optional<char> simple_escape(char letter) {
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '"':
    case '\'':
    case '\\':
    case '/':
        return letter;
    default:
        return std::nullopt;
    }
}

// How much of `text` is ASCII without escapes: most of most strings.
std::size_t plain_prefix(std::string_view text) {
    std::size_t length = 0;
    while (length < text.size() && static_cast<unsigned char>(text[length]) < 0x80 &&
           text[length] != '\\')
        ++length;
    return length;
}

} // namespace

std::optional<std::string> unquote(std::string_view token, std::string& out) {
    // The text of a faulty \u may reach into the closing quote, so that stays in `rest`.
    std::string_view rest = token.substr(1);
    out.reserve(token.size());
    for (;;) {
        const std::size_t plain = plain_prefix(rest.substr(0, rest.size() - 1));
        out.append(rest.substr(0, plain));
        rest.remove_prefix(plain);
        if (rest.size() == 1)
            break;
        if (rest[0] == '\\' && rest[1] == 'u') {
            const Escape escape = decode_unicode_escape(rest);
            if (!escape.code_point || !is_character(*escape.code_point))
                return std::string(rest.substr(0, escape.length)) +
                       " is not a valid Unicode character";
            append_utf8(out, *escape.code_point);
            rest.remove_prefix(escape.length);
        } else if (rest[0] == '\\') {
            const auto letter = simple_escape(rest[1]);
            if (!letter)
                return "invalid escape sequence in string";
            out.push_back(*letter);
            rest.remove_prefix(2);
        } else {
            const Utf8Step step = decode_utf8(rest);
            if (!step.code_point)
                return "invalid UTF-8 sequence in string";
            out.append(rest.substr(0, step.length));
            rest.remove_prefix(step.length);
        }
    }
    return std::nullopt;
}

} // namespace mfd::qmp
