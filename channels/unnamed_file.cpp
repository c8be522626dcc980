#include "channels/unnamed_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mfd {

namespace {

constexpr mode_t kNewFileMode = 0600; // guest RAM holds keys and passwords

std::string folder_of(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path();
    return folder.empty() ? "." : folder;
}

UniqueFd open_retrying(const std::string& path, int flags, mode_t mode = 0) {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return UniqueFd(fd);
}

std::string own_link(FdRef fd) {
    return "/proc/self/fd/" + std::to_string(fd.get());
}

// Not offered by this kernel or file system; EISDIR is what kernels before 3.11 say.
bool lacks_unnamed_files(int sys) {
    return sys == EOPNOTSUPP || sys == EISDIR || sys == EINVAL;
}

} // namespace

Result<std::optional<UnnamedFile>> UnnamedFile::create(const std::string& path) {
    const std::string name = std::filesystem::path(path).filename();
    struct stat there {};
    if (name.empty() || ::lstat(path.c_str(), &there) == 0 || errno != ENOENT)
        return std::optional<UnnamedFile>();
    UniqueFd fd = open_retrying(folder_of(path), O_TMPFILE | O_WRONLY, kNewFileMode);
    if (fd.valid() && ::access(own_link(fd.ref()).c_str(), W_OK) == 0)
        return std::optional(UnnamedFile(path, {}, std::move(fd), Existing::Keep));
    if (!fd.valid() && !lacks_unnamed_files(errno))
        return make_sys_error("Could not create '" + path + "'", errno);
    MFD_TRY(auto hidden, create_hidden(path));
    return std::optional(std::move(hidden));
}

Result<UnnamedFile> UnnamedFile::create_hidden(const std::string& path, Existing existing) {
    constexpr std::size_t longest_name = 200; // with what is added, below the 255 of file systems
    const std::string name = std::filesystem::path(path).filename();
    std::string hidden = folder_of(path) + "/." + name.substr(0, longest_name) + ".XXXXXX";
    UniqueFd fd(::mkostemp(hidden.data(), O_CLOEXEC));
    if (!fd.valid())
        return make_sys_error("Could not create '" + path + "'", errno);
    return UnnamedFile(path, std::move(hidden), std::move(fd), existing);
}

UnnamedFile::UnnamedFile(UnnamedFile&& other) noexcept
    : path_(std::move(other.path_)), hidden_(std::exchange(other.hidden_, {})),
      fd_(std::move(other.fd_)), existing_(other.existing_) {}

UnnamedFile& UnnamedFile::operator=(UnnamedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(hidden_, other.hidden_);
    std::swap(fd_, other.fd_);
    std::swap(existing_, other.existing_);
    return *this;
}

UnnamedFile::~UnnamedFile() {
    if (!hidden_.empty())
        ::unlink(hidden_.c_str());
}

std::string UnnamedFile::path_to_open() const {
    return hidden_.empty() ? own_link(fd_.ref()) : hidden_;
}

Result<void> UnnamedFile::publish() {
    // linkat() never takes the place of another file, which a plain rename does.
    const unsigned flags = existing_ == Existing::Keep ? RENAME_NOREPLACE : 0;
    const int failed =
        hidden_.empty()
            ? ::linkat(AT_FDCWD, path_to_open().c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW)
            : ::renameat2(AT_FDCWD, hidden_.c_str(), AT_FDCWD, path_.c_str(), flags);
    if (failed != 0)
        return make_sys_error("give the complete file its name '" + path_ + "'", errno);
    hidden_.clear();
    return {};
}

Result<void> UnnamedFile::close() {
    // After EINTR the descriptor is closed all the same.
    if (fd_.valid() && ::close(fd_.release()) != 0 && errno != EINTR)
        return make_sys_error("close '" + path_ + "'", errno);
    return {};
}

Result<void> sync_folder_of(const std::string& path, FdRef fd) {
    const UniqueFd folder = open_retrying(folder_of(path), O_RDONLY | O_DIRECTORY);
    // A folder may be writable without being readable; then all of its file system has to do.
    // EINVAL: one that keeps nothing on a device.
    const int synced = folder.valid() ? ::fsync(folder.get()) : ::syncfs(fd.get());
    if (synced != 0 && errno != EINVAL)
        return make_sys_error("bring the folder of '" + path + "' to stable storage", errno);
    return {};
}

} // namespace mfd
