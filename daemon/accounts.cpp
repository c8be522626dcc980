#include "daemon/accounts.hpp"

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <system_error>
#include <vector>

#include <grp.h>
#include <pwd.h>

namespace mfd {

namespace {

// More than any account known; an entry of a group lists its members.
constexpr std::size_t kLargestEntry = std::size_t{1} << 20;

std::optional<std::uint32_t> as_number(const std::string& text) {
    std::uint32_t value = 0;
    const char* const last = text.data() + text.size();
    const auto [end, errc] = std::from_chars(text.data(), last, value);
    // The largest number means "nobody asked for" to chown(2) and its like.
    if (errc != std::errc{} || end != last || value == std::numeric_limits<std::uint32_t>::max())
        return std::nullopt;
    return value;
}

// `ask(entry, buffer, bytes, found)` is getpwnam_r or getgrnam_r with the name.
template <class Entry, class Ask, class Number>
Result<std::uint32_t> look_up(const std::string& what, const Ask& ask, Number Entry::*number) {
    int failed = ERANGE;
    Entry entry{};
    Entry* found = nullptr;
    for (std::size_t bytes = 1024; failed == ERANGE && bytes <= kLargestEntry; bytes *= 4) {
        std::vector<char> buffer(bytes);
        failed = ask(&entry, buffer.data(), buffer.size(), &found);
    }
    if (found != nullptr)
        return found->*number;
    if (failed != 0 && failed != ENOENT)
        return make_sys_error("look up " + what, failed);
    return Error{Errc::NotFound, "there is no " + what};
}

} // namespace

Result<uid_t> find_user(const std::string& number_or_name) {
    if (const auto number = as_number(number_or_name))
        return *number;
    const auto ask = [&](passwd* entry, char* buffer, std::size_t bytes, passwd** found) {
        return ::getpwnam_r(number_or_name.c_str(), entry, buffer, bytes, found);
    };
    return look_up("user '" + number_or_name + "'", ask, &passwd::pw_uid);
}

Result<gid_t> find_group(const std::string& number_or_name) {
    if (const auto number = as_number(number_or_name))
        return *number;
    const auto ask = [&](group* entry, char* buffer, std::size_t bytes, group** found) {
        return ::getgrnam_r(number_or_name.c_str(), entry, buffer, bytes, found);
    };
    return look_up("group '" + number_or_name + "'", ask, &group::gr_gid);
}

} // namespace mfd
