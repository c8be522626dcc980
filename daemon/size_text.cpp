#include "daemon/size_text.hpp"

#include "proto/checked.hpp"

#include <cerrno>
#include <charconv>
#include <optional>

namespace mfd {

namespace {

Error bad_size(int sys) {
    return Error{Errc::BadArgument, errno_text(sys), sys};
}

constexpr bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Powers of two of the unit letters; nothing for another letter.
std::optional<unsigned> unit_shift(char c) {
    switch (c) {
    case 'b':
    case 'B':
        return 0;
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    case 'g':
    case 'G':
        return 30;
    case 't':
    case 'T':
        return 40;
    case 'p':
    case 'P':
        return 50;
    case 'e':
    case 'E':
        return 60;
    }
    return std::nullopt;
}

// The whole of `digits` in the given base, or the errno for it.
Result<std::uint64_t> whole_number(std::string_view digits, int base) {
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error == std::errc::invalid_argument || end != digits.data() + digits.size())
        return bad_size(EINVAL);
    if (error != std::errc())
        return bad_size(ERANGE);
    return value;
}

// ".75" as a part of 1, rounded to a double as QEMU does, so that both mean the same byte.
double fraction_value(std::string_view dot_and_digits) {
    double value = 0;
    if (dot_and_digits.size() > 1)
        std::from_chars(dot_and_digits.data(), dot_and_digits.data() + dot_and_digits.size(),
                        value);
    return value;
}

Result<std::uint64_t> scaled(std::uint64_t whole, double fraction, unsigned shift) {
    const std::uint64_t unit = std::uint64_t{1} << shift;
    if (shift == 0 && fraction > 0)
        return bad_size(EINVAL); // there is no part of a byte
    const auto product = checked_mul(whole, unit);
    // At most 2^60, which a double holds exactly and an uint64_t takes.
    const auto part = static_cast<std::uint64_t>(fraction * static_cast<double>(unit));
    const auto sum = product ? checked_add(*product, part) : std::nullopt;
    if (!sum)
        return bad_size(ERANGE);
    return *sum;
}

Result<std::uint64_t> parse_unsigned(std::string_view text) {
    if (text.size() > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return whole_number(text.substr(2), 16);

    std::size_t pos = 0;
    while (pos < text.size() && is_digit(text[pos]))
        ++pos;
    const std::string_view integral = text.substr(0, pos);
    std::string_view fraction;
    if (pos < text.size() && text[pos] == '.') {
        const std::size_t dot = pos++;
        while (pos < text.size() && is_digit(text[pos]))
            ++pos;
        fraction = text.substr(dot, pos - dot);
    }
    if (integral.empty() && fraction.size() < 2)
        return bad_size(EINVAL);

    unsigned shift = 0;
    if (pos < text.size()) {
        const auto unit = unit_shift(text[pos]);
        if (!unit || pos + 1 != text.size())
            return bad_size(EINVAL);
        shift = *unit;
    }
    std::uint64_t whole = 0;
    if (!integral.empty()) {
        auto value = whole_number(integral, 10);
        if (!value.has_value()) // too large a number; with anything behind it QEMU says EINVAL
            return bad_size(integral.size() == text.size() ? ERANGE : EINVAL);
        whole = *value;
    }
    return scaled(whole, fraction_value(fraction), shift);
}

} // namespace

Result<std::uint64_t> parse_size_text(std::string_view text) {
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') {
        // A negative number is a number out of range; a minus before anything else is no number.
        const auto positive = text.size() > 1 && is_digit(text[1])
                                  ? parse_unsigned(text.substr(1))
                                  : Result<std::uint64_t>(bad_size(EINVAL));
        return bad_size(positive.has_value() ? ERANGE : positive.error().sys);
    }
    if (!text.empty() && text.front() == '+') {
        text.remove_prefix(1);
        if (text.empty() || !(is_digit(text.front()) || text.front() == '.'))
            return bad_size(EINVAL);
    }
    return parse_unsigned(text);
}

} // namespace mfd
