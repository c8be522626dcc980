#include "qmp/convert/output.hpp"

#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

namespace mfd::convert {

Result<Output> Output::create(const std::string& path, Existing existing) {
    Output output(path);
    if (path == "-")
        return output;
    struct stat there {};
    const bool taken = ::lstat(path.c_str(), &there) == 0;
    if (taken && existing == Existing::Refuse)
        return Error{Errc::BadArgument,
                     path + " exists already; name another file, or replace it with --force",
                     EEXIST};
    if (taken && !S_ISREG(there.st_mode))
        return Error{Errc::BadArgument, path + " is no file that could be replaced; name another",
                     EINVAL};
    if (taken) {
        output.replaces_ = true;
        MFD_TRY(output.file_, UnnamedFile::create_hidden(path));
        return output;
    }
    MFD_TRY(output.file_, UnnamedFile::create(path));
    if (!output.file_)
        return Error{Errc::BadArgument, "'" + path + "' is no name for a file", EINVAL};
    return output;
}

FdRef Output::fd() const {
    return file_ ? file_->fd() : FdRef(STDOUT_FILENO);
}

Result<void> Output::publish() {
    if (!file_)
        return {};
    if (::fdatasync(file_->fd().get()) != 0)
        return make_sys_error("bring " + path_ + " to stable storage", errno);
    MFD_CHECK(replaces_ ? file_->replace() : file_->publish());
    MFD_CHECK(sync_folder_of(path_, file_->fd()));
    return file_->close();
}

} // namespace mfd::convert
