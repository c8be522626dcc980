#include "qmp/ctl/described_file.hpp"

#include <cerrno>
#include <map>

#include <fcntl.h>

namespace mfd::ctl {

Result<UniqueFd> open_described(const std::string& text) {
    static const std::map<std::string, int> flags_of{
        {"r", O_RDONLY},    {"w", O_WRONLY},    {"rw", O_RDWR},      {"direct", O_DIRECT},
        {"creat", O_CREAT}, {"trunc", O_TRUNC}, {"append", O_APPEND}};
    const auto colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0)
        return Error{Errc::BadArgument, text + ": write FILE:r, FILE:w or FILE:rw", 0};
    int flags = O_CLOEXEC;
    std::string mode = text.substr(colon + 1);
    for (bool first = true; first || !mode.empty(); first = false) {
        const auto plus = mode.find('+');
        const auto flag = flags_of.find(mode.substr(0, plus));
        const bool is_access = flag != flags_of.end() && flag->first.size() <= 2;
        if (flag == flags_of.end() || is_access != first)
            return Error{Errc::BadArgument,
                         text + ": the mode is r, w or rw, then +direct, +creat, +trunc, +append",
                         0};
        flags |= flag->second;
        mode = plus == std::string::npos ? std::string() : mode.substr(plus + 1);
    }
    const std::string path = text.substr(0, colon);
    UniqueFd fd(::open(path.c_str(), flags, 0600));
    if (!fd.valid())
        return make_sys_error("open " + path, errno);
    return fd;
}

} // namespace mfd::ctl
