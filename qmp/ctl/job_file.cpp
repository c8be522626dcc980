#include "qmp/ctl/job_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace mfd::ctl {

using qmp::Client;
using qmp::Json;

namespace {

constexpr std::chrono::seconds kReleaseTime{10}; // chosen: a server needs milliseconds
constexpr qmp::Millis kReleaseTick{20};
constexpr mode_t kMode = 0600; // guest RAM holds keys and passwords

UniqueFd open_fd(const std::string& path, int flags) {
    return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC, kMode));
}

Result<Json> add_fd(Client& client, FdRef fd, Json arguments) {
    const std::array<FdRef, 1> fds{fd};
    return client.call("add-fd", std::move(arguments), {.fds = fds});
}

} // namespace

Result<JobFile> JobFile::open_for_save(const std::string& path, DirectIo direct) {
    // Whether the name is new decides if a failed save may remove it.
    if (auto fresh = open_fd(path, O_WRONLY | O_CREAT | O_EXCL); fresh.valid()) {
        auto file = open(path, direct, O_WRONLY);
        if (!file) {
            ::unlink(path.c_str());
            return file;
        }
        file->created_ = true;
        return file;
    }
    return open(path, direct, O_WRONLY | O_CREAT);
}

Result<JobFile> JobFile::open_for_restore(const std::string& path, DirectIo direct) {
    return open(path, direct, O_RDONLY);
}

Result<JobFile> JobFile::open(const std::string& path, DirectIo direct, int flags) {
    JobFile file;
    file.path_ = path;
    file.buffered_ = open_fd(path, flags);
    if (!file.buffered_.valid())
        return make_sys_error("open " + path, errno);
    if (direct == DirectIo::No)
        return file;
    // A second open, not a duplicate: the flag belongs to the open file description.
    file.direct_ = open_fd(path, (flags & O_ACCMODE) | O_DIRECT);
    if (!file.direct_.valid()) {
        if (errno != EINVAL)
            return make_sys_error("open " + path + " with O_DIRECT", errno);
        file.note_ =
            "the file system of " + path + " has no O_DIRECT, going through the page cache instead";
    }
    return file;
}

Result<std::int64_t> JobFile::add_to(Client& client, const std::string& purpose) {
    // The server picks the number of the new set, so two tools at once cannot pick the same.
    const std::string opaque = "multifdctl-" + purpose;
    MFD_TRY(const auto added, add_fd(client, buffered_.ref(), Json{{"opaque", opaque}}));
    const auto number = added.find("fdset-id");
    if (number == added.end() || !number->is_number_integer())
        return Error{Errc::BadFormat, "add-fd: the reply names no fdset", 0};
    fdset_ = number->get<std::int64_t>();
    if (direct_.valid())
        MFD_CHECK(add_fd(client, direct_.ref(),
                         Json{{"opaque", opaque + "-direct"}, {"fdset-id", *fdset_}}));
    return *fdset_;
}

Result<void> JobFile::remove_from(Client& client) {
    const auto fdset = std::exchange(fdset_, std::nullopt);
    if (!fdset)
        return {};
    MFD_CHECK(client.call("remove-fd", Json{{"fdset-id", *fdset}}));
    const auto deadline = std::chrono::steady_clock::now() + kReleaseTime;
    while (std::chrono::steady_clock::now() < deadline) {
        MFD_TRY(const auto sets, client.call("query-fdsets"));
        const bool listed = std::any_of(sets.begin(), sets.end(), [&](const Json& set) {
            return set.is_object() && set.contains("fdset-id") && set["fdset-id"] == *fdset;
        });
        if (!listed)
            return {};
        MFD_CHECK(client.wait_event("MIGRATION", kReleaseTick));
    }
    return Error{Errc::Io,
                 "the server still holds descriptors of fdset " + std::to_string(*fdset) +
                     " after the job",
                 ETIMEDOUT};
}

Result<void> JobFile::sync() {
    if (::fdatasync(buffered_.get()) != 0 && errno != EINVAL) // EINVAL: a device without a cache
        return make_sys_error("write " + path_ + " to stable storage", errno);
    if (!created_)
        return {};
    const auto folder = std::filesystem::absolute(path_).parent_path();
    const auto fd = open_fd(folder, O_RDONLY | O_DIRECTORY);
    if (!fd.valid() || (::fsync(fd.get()) != 0 && errno != EINVAL))
        return make_sys_error("write the folder of " + path_ + " to stable storage", errno);
    return {};
}

bool JobFile::discard() {
    return created_ && ::unlink(path_.c_str()) == 0;
}

} // namespace mfd::ctl
