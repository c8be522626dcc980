#include "daemon/sandbox/privileges.hpp"

#include <cap-ng.h>
#include <cerrno>

#include <linux/capability.h>
#include <sys/prctl.h>

namespace mfd {

Result<void> set_no_new_privileges() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return make_sys_error("give up gaining privileges", errno);
    return {};
}

Result<void> drop_capabilities() {
    if (::capng_get_caps_process() != 0)
        return Error{Errc::Io, "read the process's capabilities"};
    const bool may_drop_bounds = ::capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
    ::capng_clear(CAPNG_SELECT_ALL);
    if (may_drop_bounds && ::capng_apply(CAPNG_SELECT_BOUNDS) != 0)
        return make_sys_error("drop the bounding set of capabilities", errno);
    // Ambient ones go with the permitted ones.
    if (::capng_apply(CAPNG_SELECT_CAPS) != 0)
        return make_sys_error("drop capabilities", errno);
    if (::capng_get_caps_process() != 0 ||
        ::capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
        return Error{Errc::Io, "drop capabilities: some are still there"};
    return {};
}

} // namespace mfd
