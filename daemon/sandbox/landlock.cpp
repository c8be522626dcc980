#include "daemon/sandbox/landlock.hpp"

#include "daemon/sandbox/landlock_abi.hpp"

#include <cerrno>
#include <cstddef>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mfd {

namespace {

namespace abi = landlock_abi;

long create_ruleset(const abi::RulesetAttr* attr, std::size_t bytes, unsigned flags) {
    return ::syscall(SYS_landlock_create_ruleset, attr, bytes, flags);
}

bool has(std::uint8_t access, PathAccess which) {
    return (access & static_cast<std::uint8_t>(which)) != 0;
}

std::uint64_t to_kernel(std::uint8_t access) {
    std::uint64_t rights = 0;
    if (has(access, PathAccess::Read))
        rights |= abi::kReadFile | abi::kReadDir;
    if (has(access, PathAccess::Write))
        rights |= abi::kWriteFile | abi::kTruncate;
    if (has(access, PathAccess::Make))
        rights |= abi::kMakeReg | abi::kRefer;
    if (has(access, PathAccess::Remove))
        rights |= abi::kRemoveFile;
    return rights;
}

} // namespace

Landlock::Support Landlock::support() {
    const long version = create_ruleset(nullptr, 0, abi::kCreateRulesetVersion);
    if (version > 0)
        return {static_cast<int>(version), {}};
    switch (errno) {
    case ENOSYS:
        return {0, "Landlock needs Linux 5.13 built with it"};
    case EOPNOTSUPP:
        return {0, "Landlock is not switched on in this kernel (boot option lsm=)"};
    default:
        return {0, "Landlock is not permitted here: " + errno_text(errno)};
    }
}

Result<Landlock> Landlock::make(int version) {
    abi::RulesetAttr attr{};
    attr.handled_access_fs = abi::kAllOfVersion1;
    std::size_t bytes = offsetof(abi::RulesetAttr, handled_access_net);
    if (version >= 2)
        attr.handled_access_fs |= abi::kRefer;
    if (version >= 3)
        attr.handled_access_fs |= abi::kTruncate;
    if (version >= 4) {
        // Sockets can be made by io_uring as well, which the system call filter does not see.
        attr.handled_access_net = abi::kBindTcp | abi::kConnectTcp;
        bytes = offsetof(abi::RulesetAttr, scoped);
    }
    if (version >= 6) {
        attr.scoped = abi::kScopeSignal;
        bytes = sizeof(attr);
    }
    UniqueFd ruleset(static_cast<int>(create_ruleset(&attr, bytes, 0)));
    if (!ruleset.valid())
        return make_sys_error("make Landlock rules", errno);
    return Landlock(std::move(ruleset), attr.handled_access_fs);
}

Result<UniqueFd> Landlock::allow(const std::string& path, std::uint8_t access) {
    UniqueFd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat status {};
    if (!place.valid() || ::fstat(place.get(), &status) != 0)
        return make_sys_error("permit access to " + path, errno);
    std::uint64_t rights = to_kernel(access) & handled_;
    if (!S_ISDIR(status.st_mode))
        rights &= abi::kReadFile | abi::kWriteFile | abi::kTruncate;
    const abi::PathBeneathAttr rule{rights, place.get()};
    if (::syscall(SYS_landlock_add_rule, ruleset_.get(), abi::kRulePathBeneath, &rule, 0) != 0)
        return make_sys_error("permit access to " + path, errno);
    return place;
}

Result<void> Landlock::restrict_self() {
    if (::syscall(SYS_landlock_restrict_self, ruleset_.get(), 0) != 0)
        return make_sys_error("put Landlock rules into force", errno);
    return {};
}

} // namespace mfd
