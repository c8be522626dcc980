#include "qmp/convert/output.hpp"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace mfd::convert {

Result<Output> Output::create(const std::string& path, Existing existing) {
    if (path == "-")
        return Output(std::nullopt);
    MFD_TRY(auto file, files::OutputFile::create(path, existing));
    return Output(std::move(file));
}

FdRef Output::fd() const {
    return file_ ? file_->fd() : FdRef(STDOUT_FILENO);
}

std::string Output::path_to_open() const {
    return "/proc/self/fd/" + std::to_string(fd().get());
}

Result<void> Output::publish() {
    if (!file_)
        return {};
    // The name's entry in the folder is made to last when the file itself is closed.
    const UniqueFd kept(::fcntl(file_->fd().get(), F_DUPFD_CLOEXEC, 0));
    if (!kept.valid() || ::fdatasync(kept.get()) != 0)
        return make_sys_error("bring " + file_->path() + " to stable storage", errno);
    MFD_CHECK(file_->complete());
    return sync_folder_of(file_->path(), kept.ref());
}

} // namespace mfd::convert
