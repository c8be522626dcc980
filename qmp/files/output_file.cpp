#include "qmp/files/output_file.hpp"

#include <cerrno>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace mfd::files {

Result<OutputFile> OutputFile::create(const std::string& path, Existing existing) {
    struct stat there {};
    const bool taken = ::lstat(path.c_str(), &there) == 0;
    if (taken && !S_ISREG(there.st_mode))
        return bad_argument(path + " is there already, and as no regular file it is not replaced");
    if (taken && existing == Existing::Keep)
        return bad_argument(path + " is there already; --force replaces it");
    if (taken) {
        MFD_TRY(auto hidden, UnnamedFile::create_hidden(path, existing));
        return OutputFile(path, std::move(hidden));
    }
    MFD_TRY(auto unnamed, UnnamedFile::create(path));
    if (!unnamed)
        return bad_argument("'" + path + "' is no name for a new file");
    return OutputFile(path, *std::move(unnamed));
}

Result<void> OutputFile::set_length(std::uint64_t bytes) {
    if (::ftruncate(file_.fd().get(), static_cast<off_t>(bytes)) != 0)
        return make_sys_error("give " + path_ + " its length", errno);
    return {};
}

Result<void> OutputFile::complete() {
    MFD_CHECK(file_.publish());
    return file_.close();
}

Result<void> OutputFile::complete_durably() {
    if (::fdatasync(fd().get()) != 0)
        return make_sys_error("bring " + path_ + " to stable storage", errno);
    MFD_CHECK(file_.publish());
    MFD_CHECK(sync_folder_of(path_, fd()));
    return file_.close();
}

} // namespace mfd::files
