#include "proto/trailer_mark.hpp"

#include <charconv>
#include <system_error>

namespace mfd {

namespace {

constexpr std::string_view kBefore = R"("x-multifdd": {"checksums": ")";
constexpr std::string_view kBehind = R"("}})";
constexpr std::string_view kSeparator = ", ";
constexpr std::size_t kDigits = 16;
constexpr std::size_t kMemberBytes = kBefore.size() + kDigits + kBehind.size();

std::string digits_of(std::uint64_t id) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string digits(kDigits, '0');
    for (std::size_t at = kDigits; at-- > 0; id >>= 4)
        digits[at] = kHex[id & 0xf];
    return digits;
}

} // namespace

std::optional<std::uint64_t> trailer_id(std::string_view vmdescription) {
    if (vmdescription.size() < kMemberBytes)
        return std::nullopt;
    const std::string_view member = vmdescription.substr(vmdescription.size() - kMemberBytes);
    if (!member.starts_with(kBefore) || !member.ends_with(kBehind))
        return std::nullopt;
    const std::string_view digits = member.substr(kBefore.size(), kDigits);
    std::uint64_t id = 0;
    const auto fault = std::from_chars(digits.data(), digits.data() + kDigits, id, 16).ec;
    // Capital letters are read as well, and are not what was written.
    if (fault != std::errc() || digits_of(id) != digits)
        return std::nullopt;
    return id;
}

std::optional<std::size_t> trailer_switch(std::string_view vmdescription) {
    if (!trailer_id(vmdescription))
        return std::nullopt;
    return vmdescription.size() - kMemberBytes + 1; // behind the quote
}

std::string without_trailer_id(std::string_view vmdescription) {
    if (!trailer_id(vmdescription))
        return std::string(vmdescription);
    vmdescription.remove_suffix(kMemberBytes);
    if (vmdescription.ends_with(kSeparator))
        vmdescription.remove_suffix(kSeparator.size());
    return std::string(vmdescription) + "}";
}

std::string with_trailer_id(std::string_view vmdescription, std::uint64_t id) {
    std::string text = without_trailer_id(vmdescription);
    const auto brace = text.find_last_of('}');
    if (brace == std::string::npos)
        return text;
    text.resize(brace);
    const auto last = text.find_last_not_of(" \t\r\n");
    if (last != std::string::npos && text[last] != '{')
        text += kSeparator;
    text += kBefore;
    text += digits_of(id);
    return text += kBehind;
}

} // namespace mfd
