#include "proto/text.hpp"

#include "proto/wire.hpp"

#include <array>
#include <charconv>

namespace mfd {

namespace {

constexpr std::size_t kShownNameBytes = 64; // chosen: enough to recognise a name by

bool is_ascii(char c) {
    return static_cast<unsigned char>(c) < 0x80;
}
bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

void append(std::string& shown, char c, bool as_hex) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    if (!as_hex) {
        shown += c;
        return;
    }
    const auto byte = static_cast<unsigned char>(c);
    shown += "\\x";
    shown += kDigits[byte >> 4];
    shown += kDigits[byte & 15];
}

} // namespace

std::string hex(std::uint64_t value) {
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return "0x" + std::string(digits.data(), end.ptr);
}

std::string printable(std::string_view name) {
    std::string shown;
    for (const char c : name.substr(0, kShownNameBytes))
        append(shown, c, is_control(c) || !is_ascii(c));
    if (name.size() > kShownNameBytes)
        shown += "...";
    return shown;
}

std::string printable_path(std::string_view path) {
    std::string shown;
    char before = 0;
    for (const char c : path) {
        // In UTF-8 a second set of control characters is \xc2\x80 to \xc2\x9f.
        const bool second_set = before == '\xc2' && static_cast<unsigned char>(c) < 0xa0;
        append(shown, c, is_control(c) || second_set);
        before = c;
    }
    return shown;
}

Error format_error(std::string what, FileOffset at, int sys) {
    what += ", at ";
    what += hex(at.value);
    return Error{Errc::BadFormat, std::move(what), sys};
}

std::string_view name_fault(std::string_view name) {
    if (name.empty())
        return "is empty";
    if (name.size() > wire::kNameMaxBytes)
        return "is longer than 255 bytes";
    if (name.find('\0') != std::string_view::npos)
        return "contains a zero byte";
    return {};
}

} // namespace mfd
