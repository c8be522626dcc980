#include "qmp/units.hpp"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <system_error>

namespace mfd {

namespace {

constexpr std::string_view kSuffixes = "BKMGTPE"; // index is the power of 1024

std::string printed(const char* format, double value, std::string_view unit) {
    std::array<char, 64> text{};
    const int length = std::snprintf(text.data(), text.size(), format, value);
    return std::string(text.data(), static_cast<std::size_t>(length)) + std::string(unit);
}

std::string scaled(double value, std::string_view per) {
    std::size_t power = 0;
    while (value >= 1023.995 && power + 1 < kSuffixes.size()) { // what would print as 1024.00
        value /= 1024;
        ++power;
    }
    if (power == 0)
        return printed("%.0f B", value, per);
    return printed("%.2f ", value, std::string{kSuffixes[power]} + "iB" + std::string(per));
}

} // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
    const Error wrong{Errc::BadArgument,
                      "'" + std::string(text) + "' is no size: write bytes, or 64K, 1.5G, 0x1000",
                      0};
    const bool hex = text.starts_with("0x") || text.starts_with("0X");
    if (hex) {
        std::uint64_t value = 0;
        const char* end = text.data() + text.size();
        const auto [stop, fault] = std::from_chars(text.data() + 2, end, value, 16);
        if (fault != std::errc() || stop != end)
            return wrong;
        return value;
    }
    if (text.empty() || std::isdigit(static_cast<unsigned char>(text.front())) == 0)
        return wrong;
    if (text.size() > 3 && (text.ends_with("iB") || text.ends_with("ib")))
        text.remove_suffix(2);
    unsigned power = 0;
    const char last = static_cast<char>(std::toupper(static_cast<unsigned char>(text.back())));
    const auto suffix = kSuffixes.find(last);
    if (suffix != std::string_view::npos) {
        power = static_cast<unsigned>(suffix);
        text.remove_suffix(1);
    }
    // Whole numbers keep every digit; a fraction needs a unit larger than a byte.
    const char* end = text.data() + text.size();
    std::uint64_t whole = 0;
    const auto [stop, fault] = std::from_chars(text.data(), end, whole);
    if (fault != std::errc())
        return wrong;
    if (stop == end) {
        if (power != 0 && whole > (UINT64_MAX >> (10 * power)))
            return wrong;
        return whole << (10 * power);
    }
    double value = 0;
    const auto fraction = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (fraction.ec != std::errc() || fraction.ptr != end || power == 0)
        return wrong;
    value = std::ldexp(value, static_cast<int>(10 * power));
    if (value >= 18446744073709551616.0)
        return wrong;
    return static_cast<std::uint64_t>(value);
}

Result<std::uint64_t> parse_rate(std::string_view text) {
    auto size = parse_size(text.ends_with("/s") ? text.substr(0, text.size() - 2) : text);
    if (!size)
        return Error{Errc::BadArgument,
                     "'" + std::string(text) +
                         "' is no rate: write bytes per second, or 64M, "
                         "1.5GiB/s",
                     0};
    return size;
}

Result<std::chrono::milliseconds> parse_time(std::string_view text) {
    const Error wrong{Errc::BadArgument,
                      "'" + std::string(text) +
                          "' is no time: write milliseconds, or 300ms, 1.5s, "
                          "2min",
                      0};
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, fault] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (fault != std::errc() || value < 0)
        return wrong;
    std::string_view unit(stop, static_cast<std::size_t>(end - stop));
    unit.remove_prefix(unit.starts_with(' ') ? 1 : 0);
    const double factor = unit.empty() || unit == "ms" ? 1
                          : unit == "s"                ? 1000
                          : unit == "min"              ? 60'000
                                                       : 0;
    const double ms = value * factor;
    if (factor == 0 || ms > 1e15 || ms != std::floor(ms))
        return wrong;
    return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
}

std::string format_bytes(std::uint64_t bytes) {
    return scaled(static_cast<double>(bytes), "");
}

std::string format_rate(double bytes_per_second) {
    return scaled(std::isfinite(bytes_per_second) && bytes_per_second > 0 ? bytes_per_second : 0,
                  "/s");
}

std::string format_time(std::chrono::milliseconds time) {
    const auto ms = time.count();
    if (ms < 1000)
        return std::to_string(ms) + " ms";
    if (ms < 60'000)
        return printed("%.2f", static_cast<double>(ms) / 1000, " s");
    const auto two_digits = [](std::int64_t n) {
        return (n < 10 ? ":0" : ":") + std::to_string(n);
    };
    const std::int64_t seconds = ms / 1000;
    if (seconds < 3600)
        return std::to_string(seconds / 60) + two_digits(seconds % 60);
    return std::to_string(seconds / 3600) + two_digits(seconds / 60 % 60) +
           two_digits(seconds % 60);
}

std::string format_count(std::uint64_t count) {
    std::string digits = std::to_string(count);
    for (std::size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, " ");
    }
    return digits;
}

} // namespace mfd
