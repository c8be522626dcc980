#include "qmp/convert/output.hpp"

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
    return file_ ? file_->complete_durably() : Result<void>();
}

} // namespace mfd::convert
