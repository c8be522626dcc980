#include "daemon/sandbox/file_policy.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace mfd {

namespace {

namespace fs = std::filesystem;

bool lies_below(const fs::path& path, const fs::path& directory) {
    return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first ==
           directory.end();
}

// The file, or the nearest directory above it that can be looked at, is not root's.
bool is_of_others(const fs::path& path) {
    for (fs::path at = path; !at.empty(); at = at.parent_path()) {
        struct stat status {};
        if (::stat(at.c_str(), &status) == 0)
            return status.st_uid != 0;
        if (at == at.root_path())
            break;
    }
    return false;
}

} // namespace

Result<FilePolicy> FilePolicy::make(bool descriptors_only,
                                    const std::vector<std::string>& directories) {
    FilePolicy policy;
    policy.descriptors_only_ = descriptors_only;
    for (const std::string& name : directories) {
        std::error_code failed;
        const fs::path path = fs::canonical(name, failed);
        if (failed)
            return make_sys_error("--allow-dir " + name, failed.value());
        if (!fs::is_directory(path, failed))
            return make_sys_error("--allow-dir " + name, ENOTDIR);
        policy.directories_.push_back(path.string());
    }
    return policy;
}

Result<void> FilePolicy::check(const std::string& path) const {
    if (anywhere())
        return {};
    if (descriptors_only_)
        return Error{Errc::BadArgument,
                     "'" + path +
                         "' is not opened: this daemon was started with --fd-only and takes passed "
                         "descriptors alone (add-fd, then /dev/fdset/N)",
                     EACCES};
    std::error_code failed;
    const fs::path meant = fs::weakly_canonical(path, failed);
    if (failed)
        return make_sys_error("'" + path + "'", failed.value());
    const auto covers = [&](const std::string& directory) { return lies_below(meant, directory); };
    if (std::any_of(directories_.begin(), directories_.end(), covers))
        return {};
    std::string list;
    for (const std::string& directory : directories_)
        list += (list.empty() ? "" : ", ") + directory;
    return Error{Errc::BadArgument,
                 "'" + path +
                     "' is not opened: it lies outside the directories named with "
                     "--allow-dir (" +
                     list + ")",
                 EACCES};
}

Result<void> FilePolicy::check_shared_memory() const {
    if (!descriptors_only_)
        return {};
    return Error{Errc::BadArgument,
                 "POSIX shared memory has a name for a moment, and this daemon was started with "
                 "--fd-only: use memory-backend-memfd",
                 EACCES};
}

Error FilePolicy::explain(const std::string& path, Error error) const {
    if (rights_dropped_ && ::geteuid() == 0 && error.sys == EACCES && is_of_others(path))
        error.what += " (as root, too: the right to open files of others is given up at start, see "
                      "--sandbox)";
    return error;
}

} // namespace mfd
