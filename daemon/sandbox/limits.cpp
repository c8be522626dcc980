#include "daemon/sandbox/limits.hpp"

#include <cerrno>

#include <sys/resource.h>

namespace mfd {

Result<std::uint64_t> raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return make_sys_error("read the limit of open descriptors", errno);
    if (limit.rlim_cur == limit.rlim_max)
        return static_cast<std::uint64_t>(limit.rlim_cur);
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return make_sys_error("raise the limit of open descriptors", errno);
    return static_cast<std::uint64_t>(limit.rlim_cur);
}

} // namespace mfd
