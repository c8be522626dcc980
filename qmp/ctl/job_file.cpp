#include "qmp/ctl/job_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
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
    JobFile fresh(path);
    MFD_TRY(fresh.unnamed_, UnnamedFile::create(path));
    if (!fresh.unnamed_)
        return open(path, direct, O_WRONLY | O_CREAT);
    MFD_CHECK(fresh.open_direct(fresh.unnamed_->path_to_open(), direct, O_WRONLY));
    return fresh;
}

Result<JobFile> JobFile::open_for_restore(const std::string& path, DirectIo direct) {
    return open(path, direct, O_RDONLY);
}

Result<JobFile> JobFile::open(const std::string& path, DirectIo direct, int flags) {
    JobFile file(path);
    file.named_ = open_fd(path, flags);
    if (!file.named_.valid())
        return make_sys_error("open " + path, errno);
    MFD_CHECK(file.open_direct(path, direct, flags & O_ACCMODE));
    return file;
}

Result<void> JobFile::open_direct(const std::string& there, DirectIo direct, int access) {
    if (direct == DirectIo::No)
        return {};
    // A second open, not a duplicate: the flag belongs to the open file description.
    direct_ = open_fd(there, access | O_DIRECT);
    if (direct_.valid())
        return {};
    if (errno != EINVAL)
        return make_sys_error("open " + path_ + " with O_DIRECT", errno);
    note_ =
        "the file system of " + path_ + " has no O_DIRECT, going through the page cache instead";
    return {};
}

Result<std::int64_t> JobFile::add_to(Client& client, const std::string& purpose) {
    // The server picks the number of the new set, so two tools at once cannot pick the same.
    const std::string opaque = "multifdctl-" + purpose;
    MFD_TRY(const auto added, add_fd(client, buffered(), Json{{"opaque", opaque}}));
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

Result<void> JobFile::complete() {
    if (::fdatasync(buffered().get()) != 0 && errno != EINVAL) // EINVAL: a device without a cache
        return make_sys_error("write " + path_ + " to stable storage", errno);
    if (!unnamed_)
        return {};
    MFD_CHECK(unnamed_->publish());
    MFD_CHECK(sync_folder_of(path_, buffered()));
    auto closed = unnamed_->close();
    unnamed_.reset();
    return closed;
}

} // namespace mfd::ctl
