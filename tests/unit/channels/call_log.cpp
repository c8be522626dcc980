#include "call_log.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <span>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

namespace mfd::test {

namespace {

// Workers of other cases come here at a time.
std::mutex lock;
std::atomic<CallLog*> active{nullptr};
std::vector<std::string> noted;

void note(std::string call) {
    if (active.load() == nullptr)
        return;
    const std::lock_guard<std::mutex> guard(lock);
    noted.push_back(std::move(call));
}

std::string transfer_text(const char* name, std::uint64_t bytes, off_t offset) {
    return std::string(name) + " " + std::to_string(bytes) + " at " + std::to_string(offset);
}

// The C library's own function of that name.
template <class Function>
Function* original(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

std::vector<iovec> first_bytes(std::span<const iovec> parts, std::size_t bytes) {
    std::vector<iovec> front;
    for (const iovec& part : parts) {
        front.push_back({part.iov_base, std::min(part.iov_len, bytes)});
        bytes -= front.back().iov_len;
    }
    return front;
}

using VectoredTransfer = ssize_t(int, const iovec*, int, off_t);

ssize_t transfer(VectoredTransfer* function, const char* name, int fd, const iovec* parts,
                 int count, off_t offset) {
    CallLog* const log = active.load();
    if (log == nullptr)
        return function(fd, parts, count, offset);
    const std::span<const iovec> all(parts, static_cast<std::size_t>(count));
    std::uint64_t bytes = 0;
    for (const iovec& part : all)
        bytes += part.iov_len;
    note(transfer_text(name, bytes, offset));
    if (log->transfers.empty())
        return function(fd, parts, count, offset);
    const ssize_t answer = log->transfers.front();
    log->transfers.pop_front();
    if (answer < 0) {
        errno = static_cast<int>(-answer);
        return -1;
    }
    const auto cut = first_bytes(all, static_cast<std::size_t>(answer));
    return function(fd, cut.data(), count, offset);
}

} // namespace

CallLog::CallLog() {
    noted.clear();
    active = this;
}

CallLog::~CallLog() {
    active = nullptr;
}

std::vector<std::string> CallLog::calls() const {
    const std::lock_guard<std::mutex> guard(lock);
    return noted;
}

} // namespace mfd::test

extern "C" {

ssize_t pwrite(int fd, const void* data, size_t bytes, off_t offset) {
    static auto* const libc =
        mfd::test::original<ssize_t(int, const void*, size_t, off_t)>("pwrite");
    mfd::test::note(mfd::test::transfer_text("pwrite", bytes, offset));
    return libc(fd, data, bytes, offset);
}

ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
    static auto* const libc = mfd::test::original<mfd::test::VectoredTransfer>("pwritev");
    return mfd::test::transfer(libc, "pwritev", fd, parts, count, offset);
}

ssize_t preadv(int fd, const iovec* parts, int count, off_t offset) {
    static auto* const libc = mfd::test::original<mfd::test::VectoredTransfer>("preadv");
    return mfd::test::transfer(libc, "preadv", fd, parts, count, offset);
}

int ftruncate(int fd, off_t length) noexcept {
    static auto* const libc = mfd::test::original<int(int, off_t)>("ftruncate");
    mfd::test::note("ftruncate to " + std::to_string(length));
    return libc(fd, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    static auto* const libc = mfd::test::original<int(int, int, off_t, off_t)>("fallocate");
    mfd::test::note(
        mfd::test::transfer_text("fallocate", static_cast<std::uint64_t>(length), offset));
    return libc(fd, mode, offset, length);
}

int fdatasync(int fd) {
    static auto* const libc = mfd::test::original<int(int)>("fdatasync");
    mfd::test::note("fdatasync");
    return libc(fd);
}

int fsync(int fd) {
    static auto* const libc = mfd::test::original<int(int)>("fsync");
    mfd::test::note("fsync");
    return libc(fd);
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
    static auto* const libc =
        mfd::test::original<int(int, const char*, int, const char*, int)>("linkat");
    mfd::test::note("publish");
    return libc(from_folder, from, to_folder, to, flags);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned flags) noexcept {
    static auto* const libc =
        mfd::test::original<int(int, const char*, int, const char*, unsigned)>("renameat2");
    mfd::test::note("publish");
    return libc(from_folder, from, to_folder, to, flags);
}

int fstatvfs(int fd, struct statvfs* space) noexcept {
    static auto* const libc = mfd::test::original<int(int, struct statvfs*)>("fstatvfs");
    const int result = libc(fd, space);
    if (const mfd::test::CallLog* const log = mfd::test::active.load();
        log != nullptr && log->free_blocks)
        space->f_bavail = *log->free_blocks;
    return result;
}

} // extern "C"
