#include "proto/text.hpp"

#include "proto/wire.hpp"

#include <array>
#include <charconv>

namespace mfd {

namespace {

constexpr std::size_t kShownNameBytes = 64; // chosen: enough to recognise a name by

} // namespace

std::string hex(std::uint64_t value) {
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return "0x" + std::string(digits.data(), end.ptr);
}

std::string printable(std::string_view name) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string shown;
    for (const char c : name.substr(0, kShownNameBytes)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            shown += c;
        } else {
            shown += "\\x";
            shown += kDigits[byte >> 4];
            shown += kDigits[byte & 15];
        }
    }
    if (name.size() > kShownNameBytes)
        shown += "...";
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
