#include "daemon/service/env_file.hpp"

#include "channels/unique_fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace mfd {

namespace {

constexpr std::size_t kFileMaxBytes = std::size_t{64} << 10; // chosen

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r";
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string_view unquoted(std::string_view value) {
    const bool quoted = value.size() >= 2 && value.front() == value.back() &&
                        (value.front() == '"' || value.front() == '\'');
    return quoted ? value.substr(1, value.size() - 2) : value;
}

} // namespace

std::optional<std::string> find_assignment(std::string_view text, std::string_view name) {
    std::optional<std::string> found;
    while (!text.empty()) {
        const std::size_t length = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, length));
        text.remove_prefix(std::min(length + 1, text.size()));
        const auto equals = line.find('=');
        if (equals != std::string_view::npos && trimmed(line.substr(0, equals)) == name)
            found = unquoted(trimmed(line.substr(equals + 1)));
    }
    return found;
}

Result<std::optional<std::string>> read_assignment(const std::string& path, std::string_view name) {
    // Without waiting for a writer, should it be a pipe.
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid())
        return make_sys_error("open " + path, errno);
    std::string text;
    std::array<char, 4096> buffer{};
    while (true) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return make_sys_error("read " + path, errno);
        if (got == 0)
            return find_assignment(text, name);
        text.append(buffer.data(), static_cast<std::size_t>(got));
        if (text.size() > kFileMaxBytes)
            return Error{Errc::BadArgument, "read " + path + ": more than 64 KiB"};
    }
}

} // namespace mfd
