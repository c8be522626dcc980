#include "qmp/files/input_file.hpp"

#include "channels/file_io.hpp"
#include "proto/text.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mfd::files {

namespace {

constexpr std::uint64_t kStatBlockBytes = 512; // st_blocks counts these, whatever the file system

} // namespace

Result<InputFile> InputFile::open(const std::string& path) {
    // Not blocking: a FIFO without a writer would hold the tool up before it can be refused.
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid())
        return make_sys_error("open " + path, errno);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0)
        return make_sys_error("look at " + path, errno);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return bad_argument("open " + path + ": it is neither a file nor a block device");
    const off_t end = ::lseek(fd.get(), 0, SEEK_END);
    if (end < 0)
        return make_sys_error("find the end of " + path, errno);
    InputFile file;
    file.path_ = path;
    file.fd_ = std::move(fd);
    file.size_ = static_cast<std::uint64_t>(end);
    file.allocated_ = S_ISREG(status.st_mode)
                          ? static_cast<std::uint64_t>(status.st_blocks) * kStatBlockBytes
                          : file.size_;
    return file;
}

Result<void> InputFile::read(FileOffset at, std::span<std::byte> into) const {
    auto done = read_all_at(fd_.ref(), into, at.value);
    if (!done)
        return with_context("read " + path_ + " at " + hex(at.value), std::move(done).error());
    return {};
}

std::optional<FileRange> InputFile::next_data(FileOffset from, FileOffset to) const {
    const FileOffset limit = std::min(to, FileOffset(size_));
    if (from >= limit)
        return std::nullopt;
    const off_t data = ::lseek(fd_.get(), static_cast<off_t>(from.value), SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? std::nullopt : std::optional(FileRange{from, limit});
    const FileOffset begin(static_cast<std::uint64_t>(data));
    if (begin >= limit)
        return std::nullopt;
    const off_t hole = ::lseek(fd_.get(), data, SEEK_HOLE);
    const FileOffset end(hole < 0 ? size_ : static_cast<std::uint64_t>(hole));
    return FileRange{begin, std::min(end, limit)};
}

} // namespace mfd::files
