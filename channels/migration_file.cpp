#include "channels/migration_file.hpp"

#include "channels/direct_alignment.hpp"
#include "channels/file_io.hpp"
#include "channels/hex.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace mfd {

namespace {

constexpr mode_t kNewFileMode = 0600; // as QEMU creates it
// What a slow disk takes in a second or so: how long a cancel may have to wait.
constexpr std::uint64_t kWriteBackStep = std::uint64_t{64} << 20;

// Opened with O_NONBLOCK, since a FIFO without a reader would hang the job for good; taken off
// again at once, since an engine must not be told EAGAIN. For files it means nothing.
Result<UniqueFd> open_path(const std::string& name, int flags, const char* what) {
    int opened = -1;
    do {
        opened = ::open(name.c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, kNewFileMode);
    } while (opened < 0 && errno == EINTR);
    UniqueFd fd(opened);
    if (!fd.valid())
        return make_sys_error(std::string(what) + " '" + name + "'", errno);
    const int status = ::fcntl(fd.get(), F_GETFL);
    if (status < 0 || ::fcntl(fd.get(), F_SETFL, status & ~O_NONBLOCK) != 0)
        return make_sys_error(std::string(what) + " '" + name + "'", errno);
    return fd;
}

// `path` is where the file called `name` can be opened.
Result<UniqueFd> open_path_direct(const std::string& name, const std::string& path, int access) {
    auto fd = open_path(path, access | O_DIRECT, "Could not open");
    if (!fd && fd.error().sys == EINVAL)
        return Error{Errc::Unsupported,
                     "Could not open '" + name +
                         "' with O_DIRECT: its file system does not offer direct I/O",
                     EINVAL};
    return fd;
}

Result<struct stat> stat_of(FdRef fd, const std::string& name) {
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0)
        return make_sys_error("look at '" + name + "'", errno);
    return info;
}

} // namespace

Result<FileTarget> resolve_target(FdSets& sets, std::string name, std::uint64_t offset, FileUse use,
                                  PageIo page_io) {
    FileTarget target{std::move(name), offset, page_io, std::nullopt, std::nullopt};
    if (!FdSets::is_fdset_path(target.name))
        return target;
    const bool save = use == FileUse::Save;
    // O_CREAT has no effect here; QEMU names it in the error, and clients may look for the number.
    MFD_TRY(target.buffered, sets.open(target.name, save ? O_WRONLY | O_CREAT : O_RDONLY));
    if (page_io == PageIo::Direct) {
        auto direct = sets.open(target.name, (save ? O_WRONLY : O_RDONLY) | O_DIRECT);
        if (!direct && direct.error().code == Errc::NotFound && save) // QEMU dies of this one
            return Error{Errc::NotFound, direct.error().what +
                                             " (direct-io needs a write-only O_DIRECT descriptor "
                                             "in the set, beside the buffered one)"};
        MFD_TRY(target.direct, std::move(direct));
    }
    return target;
}

Result<void> MigrationFile::open_by_path(const FileTarget& target, FileUse use) {
    const int access = use == FileUse::Save ? O_WRONLY : O_RDONLY;
    std::string path = name_;
    if (use == FileUse::Save) {
        struct stat there {};
        created_ = ::lstat(name_.c_str(), &there) != 0 && errno == ENOENT;
        if (target.appears == Appears::WhenComplete) {
            MFD_TRY(unnamed_, UnnamedFile::create(name_));
        }
    }
    if (unnamed_) {
        path = unnamed_->path_to_open();
    } else {
        MFD_TRY(buffered_handle_.own, use == FileUse::Save
                                          ? open_path(name_, O_WRONLY | O_CREAT, "Could not create")
                                          : open_path(name_, O_RDONLY, "Could not open"));
    }
    if (target.page_io == PageIo::Direct) {
        MFD_TRY(direct_handle_.own, open_path_direct(name_, path, access));
    }
    return {};
}

Result<void> MigrationFile::adopt(FileTarget target, FileUse use) {
    if (target.buffered) {
        buffered_handle_.dup = std::move(target.buffered);
        direct_handle_.dup = std::move(target.direct);
    } else {
        MFD_CHECK(open_by_path(target, use));
    }
    buffered_ = unnamed_ ? unnamed_->fd() : buffered_handle_.ref();
    direct_ = direct_handle_.ref();
    if (target.page_io != PageIo::Direct)
        return {};
    // A set may hold anything, and a path may have got a new file between two opens.
    MFD_TRY(const auto one, stat_of(buffered_, name_));
    MFD_TRY(const auto other, stat_of(direct_, name_));
    if (one.st_dev != other.st_dev || one.st_ino != other.st_ino)
        return Error{Errc::BadArgument,
                     "'" + name_ + "': the buffered and the direct descriptor are different files"};
    return {};
}

Result<MigrationFile> MigrationFile::open_save(FileTarget target) {
    MigrationFile file(target.name);
    const std::uint64_t offset = target.offset;
    const OldBlocks old_blocks = target.old_blocks;
    file.durability_ = target.durability;
    MFD_CHECK(file.adopt(std::move(target), FileUse::Save));
    MFD_TRY(const auto info, stat_of(file.buffered_, file.name_));
    const auto old_length = static_cast<std::uint64_t>(info.st_size);
    const std::uint64_t length =
        old_blocks == OldBlocks::Reuse ? std::max(old_length, offset) : offset;
    const auto cannot_cut = [&](int sys) {
        return make_sys_error("failed to truncate migration file to offset " + hex_text(length) +
                                  " ('" + file.name_ + "')",
                              sys);
    };
    // Only a regular file can have the length of its stream.
    if (!S_ISREG(info.st_mode) || std::cmp_greater(length, INT64_MAX))
        return cannot_cut(EINVAL);
    MFD_CHECK(file.find_stream(offset));
    if (old_length > length && old_length > file.stream_offset_)
        MFD_CHECK(file.destroy_old_stream());
    // Not needlessly: ext4 takes even this cut of an empty file for its being replaced, and then
    // writes all of it back in close(2).
    if (old_length != length && ::ftruncate(file.buffered_.get(), static_cast<off_t>(length)) != 0)
        return cannot_cut(errno);
    file.has_old_stream_ = length > file.stream_offset_;
    if (file.direct_.valid()) {
        auto alignment = ask_save_alignment(file.direct_, file.stream_offset_, length);
        if (!alignment)
            return with_context("'" + file.name_ + "'", std::move(alignment).error());
        file.alignment_ = *alignment;
    }
    return file;
}

Result<MigrationFile> MigrationFile::open_load(FileTarget target) {
    MigrationFile file(target.name);
    const std::uint64_t offset = target.offset;
    MFD_CHECK(file.adopt(std::move(target), FileUse::Load));
    MFD_CHECK(file.find_stream(offset));
    if (file.direct_.valid()) {
        auto alignment = ask_load_alignment(file.direct_);
        if (!alignment)
            return with_context("'" + file.name_ + "'", std::move(alignment).error());
        file.alignment_ = *alignment;
    }
    return file;
}

Result<void> MigrationFile::find_stream(std::uint64_t offset) {
    stream_offset_ = offset;
    if (offset != 0)
        return {};
    const off_t position = ::lseek(buffered_.get(), 0, SEEK_CUR);
    if (position < 0)
        return make_sys_error("find the file position of '" + name_ + "'", errno);
    stream_offset_ = static_cast<std::uint64_t>(position);
    return {};
}

Result<void> MigrationFile::extend(std::uint64_t end) {
    if (::ftruncate(buffered_.get(), static_cast<off_t>(end)) != 0)
        return make_sys_error("give migration file '" + name_ + "' its length of 0x" +
                                  hex_text(end) + " bytes",
                              errno);
    given_length_ = end;
    return {};
}

Result<void> MigrationFile::check_length() const {
    MFD_TRY(const std::uint64_t length, size_bytes());
    if (length < given_length_)
        return Error{Errc::Io, "migration file '" + name_ +
                                   "' was shortened by somebody else while it was written: it has "
                                   "0x" +
                                   hex_text(length) + " bytes and had 0x" +
                                   hex_text(given_length_)};
    return {};
}

Result<void> MigrationFile::reserve(std::uint64_t end) {
    MFD_CHECK(extend(end));
    return has_old_stream_ ? destroy_old_stream() : Result<void>();
}

// Without its magic number nothing takes it for a stream; after the sync neither do those who look
// after a power cut.
Result<void> MigrationFile::destroy_old_stream() {
    MFD_CHECK(write_meta(std::array<std::byte, kStartBytes>{}, stream_offset_));
    return sync_if_durable();
}

namespace {

// A file system that is filled to its end fails others as well, so it is asked first.
Result<void> check_space(FdRef fd, const struct stat& info, std::uint64_t end,
                         const std::string& what) {
    struct statvfs space {};
    if (::fstatvfs(fd.get(), &space) != 0)
        return {}; // then the file system has to refuse
    const std::uint64_t there = static_cast<std::uint64_t>(info.st_blocks) * 512;
    const std::uint64_t needed = end > there ? end - there : 0;
    // In blocks: the product of what a network file system claims to have may not fit 64 bits.
    if (space.f_frsize != 0 && needed / space.f_frsize > space.f_bavail)
        return make_sys_error(what, ENOSPC);
    return {};
}

} // namespace

Result<void> MigrationFile::preallocate(std::uint64_t end) {
    const std::string what = "reserve the space of migration file '" + name_ + "', 0x" +
                             hex_text(end - stream_offset_) + " bytes";
    MFD_TRY(const auto info, stat_of(buffered_, name_));
    MFD_CHECK(check_space(buffered_, info, end, what));
    int failed = 0;
    do {
        failed = ::fallocate(buffered_.get(), 0, static_cast<off_t>(stream_offset_),
                             static_cast<off_t>(end - stream_offset_)) == 0
                     ? 0
                     : errno;
    } while (failed == EINTR);
    // Where it cannot be reserved, having asked has to do.
    if (failed != 0 && failed != EOPNOTSUPP)
        return make_sys_error(what, failed);
    return {};
}

Result<void> MigrationFile::write_start(std::span<const std::byte> data) {
    std::copy_n(data.begin(), kStartBytes, start_.emplace().begin());
    return write_meta(data.subspan(kStartBytes), stream_offset_ + kStartBytes);
}

Result<void> MigrationFile::finish_start() {
    if (!start_)
        return {};
    MFD_CHECK(write_meta(*start_, stream_offset_));
    start_.reset();
    return {};
}

Result<void> MigrationFile::write_meta(std::span<const std::byte> data, std::uint64_t offset) {
    auto written = write_all_at(buffered_, data, offset);
    if (!written)
        return with_context("'" + name_ + "' at 0x" + hex_text(offset), std::move(written).error());
    return {};
}

Result<void> MigrationFile::read_meta(std::span<std::byte> data, std::uint64_t offset) const {
    auto read = read_all_at(buffered_, data, offset);
    if (!read)
        return with_context("'" + name_ + "' at 0x" + hex_text(offset), std::move(read).error());
    return {};
}

Result<std::size_t> MigrationFile::read_meta_up_to(std::span<std::byte> data,
                                                   std::uint64_t offset) const {
    auto read = read_up_to_at(buffered_, data, offset);
    if (!read)
        return with_context("'" + name_ + "' at 0x" + hex_text(offset), std::move(read).error());
    return read;
}

Result<std::uint64_t> MigrationFile::size_bytes() const {
    MFD_TRY(const auto info, stat_of(buffered_, name_));
    if (!S_ISBLK(info.st_mode))
        return static_cast<std::uint64_t>(info.st_size);
    std::uint64_t bytes = 0; // seeking to the end would move a position that others share
    if (::ioctl(buffered_.get(), BLKGETSIZE64, &bytes) != 0)
        return make_sys_error("ask the size of '" + name_ + "'", errno);
    return bytes;
}

Result<void> MigrationFile::write_back(const std::stop_token& stop) const {
    MFD_TRY(const std::uint64_t end, size_bytes());
    for (std::uint64_t at = stream_offset_; at < end; at += kWriteBackStep) {
        if (stop.stop_requested())
            return Error{Errc::Cancelled, "stopped on request"};
        constexpr unsigned whole =
            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
        if (::sync_file_range(buffered_.get(), static_cast<off64_t>(at),
                              static_cast<off64_t>(kWriteBackStep), whole) != 0)
            return make_sys_error("write '" + name_ + "' to its device", errno);
    }
    return {};
}

Result<void> MigrationFile::sync() {
    // One inode, so this covers what went through the direct descriptor: its extents and size, and
    // the device's write cache.
    if (::fdatasync(buffered_.get()) != 0)
        return make_sys_error("bring '" + name_ + "' to stable storage", errno);
    return {};
}

Result<void> MigrationFile::sync_if_durable() {
    return durability_ == Durability::Durable ? sync() : Result<void>();
}

Result<void> MigrationFile::complete(const std::stop_token& stop) {
    if (unnamed_) // nobody finds it before it is synced, so one sync will do
        MFD_CHECK(finish_start());
    MFD_CHECK(sync_if_durable());
    MFD_CHECK(check_length());
    if (stop.stop_requested())
        return Error{Errc::Cancelled, "stopped on request"};
    if (start_) {
        MFD_CHECK(finish_start());
        MFD_CHECK(sync_if_durable());
    }
    if (unnamed_)
        MFD_CHECK(unnamed_->publish());
    if (durability_ == Durability::Durable && created_)
        MFD_CHECK(sync_folder_of(name_, buffered_));
    return finish();
}

Result<void> MigrationFile::finish() {
    if (unnamed_)
        MFD_CHECK(unnamed_->close());
    int failed = 0;
    for (Handle* handle : {&direct_handle_, &buffered_handle_}) {
        handle->dup.reset();
        // After EINTR the descriptor is closed all the same.
        if (handle->own.valid() && ::close(handle->own.release()) != 0 && errno != EINTR)
            failed = errno;
    }
    buffered_ = FdRef();
    direct_ = FdRef();
    if (failed != 0)
        return make_sys_error("close '" + name_ + "'", failed);
    return {};
}

} // namespace mfd
