#include "daemon/guest/backing_file.hpp"

#include "proto/checked.hpp"

#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/fs.h>

namespace mfd {

namespace {

constexpr std::uint64_t kMaxFileOffset = std::numeric_limits<std::int64_t>::max();
// memfd_create's flags carry the binary logarithm of the huge page's size from this bit on.
constexpr unsigned kHugeSizeShift = 26;
// Names with 64 random bits; a second collision in a row means that something else is wrong.
constexpr int kNameAttempts = 4;

std::string hex(std::uint64_t value) {
    std::array<char, 24> text{};
    const int length =
        std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
    return {text.data(), static_cast<std::size_t>(length)};
}

Result<std::string> random_name(std::string_view prefix) {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof(number), 0) != sizeof(number))
        return make_sys_error("make a name for guest memory", errno);
    return std::string(prefix) + hex(number).substr(2);
}

struct FileFacts {
    MemoryKind kind = MemoryKind::Regular;
    std::uint64_t page_bytes = kPageSize;
    std::optional<std::uint64_t> bytes; // of files and block devices; other devices have no length
};

Result<FileFacts> look_up(FdRef fd) {
    struct statfs fs = {};
    struct stat status = {};
    if (::fstatfs(fd.get(), &fs) != 0 || ::fstat(fd.get(), &status) != 0)
        return make_sys_error("look up the file behind guest memory", errno);
    FileFacts facts;
    // The type is signed on some kernels' headers, the magic numbers are 32 bits wide.
    const auto type = static_cast<std::uint32_t>(fs.f_type);
    if (S_ISREG(status.st_mode)) {
        facts.bytes = static_cast<std::uint64_t>(status.st_size);
        if (type == HUGETLBFS_MAGIC) {
            facts.kind = MemoryKind::Hugetlb;
            facts.page_bytes = static_cast<std::uint64_t>(fs.f_bsize);
        } else if (type == TMPFS_MAGIC) {
            facts.kind = MemoryKind::Shmem;
        }
    } else if (S_ISBLK(status.st_mode)) {
        std::uint64_t bytes = 0;
        if (::ioctl(fd.get(), BLKGETSIZE64, &bytes) != 0)
            return make_sys_error("look up the length of the device behind guest memory", errno);
        facts.bytes = bytes;
    }
    if (!std::has_single_bit(facts.page_bytes) || facts.page_bytes < kPageSize)
        return Error{Errc::Unsupported, "the file behind guest memory has pages of " +
                                            std::to_string(facts.page_bytes) + " bytes"};
    return facts;
}

Result<void> resize(FdRef fd, std::uint64_t bytes, std::string_view what) {
    const std::string text =
        "failed to resize " + std::string(what) + " to " + std::to_string(bytes);
    if (bytes > kMaxFileOffset)
        return make_sys_error(text, EINVAL);
    while (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0)
        if (errno != EINTR)
            return make_sys_error(text, errno);
    return {};
}

Result<UniqueFd> make_memfd(const char* name, const BackendProperties& p, bool seal) {
    unsigned flags = MFD_CLOEXEC | (seal ? MFD_ALLOW_SEALING : 0U);
    if (p.type == BackendType::Memfd && p.hugetlb) {
        flags |= MFD_HUGETLB;
        if (p.hugetlb_size != 0)
            flags |= static_cast<unsigned>(std::countr_zero(p.hugetlb_size)) << kHugeSizeShift;
    }
    UniqueFd fd(::memfd_create(name, flags));
    if (!fd.valid())
        return make_sys_error("failed to create memfd", errno);
    MFD_CHECK(resize(fd.ref(), p.size, "memfd"));
    // The size must not change under the mapping, whoever gets hold of the descriptor.
    if (seal && ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        return make_sys_error("failed to seal memfd", errno);
    return fd;
}

Result<UniqueFd> make_posix_shm(const BackendProperties& p) {
    for (int attempt = 1;; ++attempt) {
        MFD_TRY(const std::string name, random_name("/multifdd-"));
        UniqueFd fd(::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!fd.valid()) {
            if (errno == EEXIST && attempt < kNameAttempts)
                continue;
            return make_sys_error("failed to create POSIX shared memory", errno);
        }
        ::shm_unlink(name.c_str()); // the descriptor keeps it, and nobody else finds it
        MFD_CHECK(resize(fd.ref(), p.size, "POSIX shared memory"));
        return fd;
    }
}

Error cannot_open(const BackendProperties& p, int sys) {
    return make_sys_error("can't open backing store " + p.mem_path + " for guest RAM", sys);
}

Result<UniqueFd> open_nameless(const BackendProperties& p) {
    UniqueFd fd(::open(p.mem_path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd.valid())
        return fd;
    // Not every file system has nameless files.
    for (int attempt = 1; attempt <= kNameAttempts; ++attempt) {
        MFD_TRY(const std::string name, random_name(p.mem_path + "/multifdd-"));
        fd.reset(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (fd.valid()) {
            ::unlink(name.c_str());
            return fd;
        }
        if (errno != EEXIST)
            break;
    }
    return cannot_open(p, errno);
}

struct OpenedFile {
    UniqueFd fd;
    bool created = false; // under mem-path: to be removed again if it does not serve
    bool passed = false;
};

Result<OpenedFile> open_path(const BackendProperties& p, const FdsetOpener& open_fdset) {
    // Non-blocking, so that a FIFO is refused by mmap instead of waited for; files do not care.
    const int access = p.readonly ? O_RDONLY : O_RDWR;
    const int flags = access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    if (p.mem_path.starts_with("/dev/fdset/")) {
        if (!open_fdset)
            return cannot_open(p, ENOENT);
        auto fd = open_fdset(p.mem_path, access);
        if (!fd.has_value())
            return with_context("can't open backing store " + p.mem_path + " for guest RAM",
                                std::move(fd).error());
        return OpenedFile{std::move(*fd), false, true};
    }
    for (;;) {
        UniqueFd fd(::open(p.mem_path.c_str(), flags));
        if (fd.valid()) {
            struct stat status = {};
            if (::fstat(fd.get(), &status) == 0 && S_ISDIR(status.st_mode))
                return cannot_open(p, EISDIR); // read-only: a new file there would be of no use
            return OpenedFile{std::move(fd), false, false};
        }
        if (errno == EINTR)
            continue;
        if (errno == EISDIR) {
            MFD_TRY(fd, open_nameless(p));
            return OpenedFile{std::move(fd), false, false};
        }
        if (errno != ENOENT || p.readonly)
            return cannot_open(p, errno);
        fd.reset(::open(p.mem_path.c_str(), flags | O_CREAT | O_EXCL, 0644));
        if (fd.valid())
            return OpenedFile{std::move(fd), true, false};
        if (errno != EEXIST && errno != EINTR)
            return cannot_open(p, errno);
    }
}

Result<void> check_file(const BackendProperties& p, const FileFacts& facts) {
    const std::string page = hex(facts.page_bytes);
    if (p.align % facts.page_bytes != 0)
        return bad_argument("alignment " + hex(p.align) + " must be multiples of page size " +
                            page);
    if (p.align != 0 && !std::has_single_bit(p.align))
        return bad_argument("alignment " + hex(p.align) + " must be a power of two");
    if (p.offset % facts.page_bytes != 0)
        return bad_argument("offset " + hex(p.offset) + " must be multiples of page size " + page);
    return {};
}

// Fits size and offset to the file, extending it where it is new or empty. Returns the bytes to
// map.
Result<std::uint64_t> fit_file(const BackendProperties& p, const FileFacts& facts, FdRef fd) {
    const auto map_bytes = checked_round_up(p.size, facts.page_bytes);
    const auto end = map_bytes ? checked_add(p.offset, *map_bytes) : std::nullopt;
    if (!facts.bytes)
        return map_bytes.value_or(p.size);
    const bool grow = *facts.bytes == 0 && !p.readonly;
    if (!grow && (!end || *end > *facts.bytes))
        return bad_argument(p.id + " backing store size " + hex(*facts.bytes) +
                            " is too small for 'size' option " + hex(map_bytes.value_or(p.size)) +
                            " plus 'offset' option " + hex(p.offset));
    if (grow) // an end past the largest file is past every limit of the kernel, too
        MFD_CHECK(resize(fd, end.value_or(std::numeric_limits<std::uint64_t>::max()),
                         "backing store " + p.mem_path));
    return *map_bytes;
}

// The position of a passed descriptor is its owner's. Nothing is lost where the file cannot be
// opened again: then it is not searched for holes.
void give_own_position(BackingFile& file) {
    const std::string again = "/proc/self/fd/" + std::to_string(file.fd.get());
    file.own_position.reset(::open(again.c_str(), O_RDONLY | O_CLOEXEC));
}

Result<BackingFile> open_named_file(const BackendProperties& p, const FdsetOpener& open_fdset) {
    MFD_TRY(OpenedFile opened, open_path(p, open_fdset));
    BackingFile file;
    file.fd = std::move(opened.fd);
    file.passed = opened.passed;
    const auto fit = [&]() -> Result<void> {
        MFD_TRY(const FileFacts facts, look_up(file.fd.ref()));
        MFD_CHECK(check_file(p, facts));
        MFD_TRY(file.map_bytes, fit_file(p, facts, file.fd.ref()));
        file.kind = facts.kind;
        file.page_bytes = facts.page_bytes;
        return {};
    };
    if (auto fitted = fit(); !fitted.has_value()) {
        if (opened.created)
            ::unlink(p.mem_path.c_str());
        return std::move(fitted).error();
    }
    if (file.passed)
        give_own_position(file);
    return file;
}

} // namespace

Result<BackingFile> open_backing_file(const BackendProperties& p, const FdsetOpener& open_fdset,
                                      MemoryLifetime lifetime) {
    if (p.type == BackendType::File)
        return open_named_file(p, open_fdset);
    BackingFile file;
    file.map_bytes = p.size;
    if (p.type == BackendType::Ram && !p.share && lifetime == MemoryLifetime::Process)
        return file;
    if (p.type == BackendType::Shm) {
        MFD_TRY(file.fd, make_posix_shm(p));
    } else {
        const bool sealed = p.type == BackendType::Memfd && p.seal;
        MFD_TRY(file.fd, make_memfd(sealed || p.type == BackendType::Memfd ? "memory-backend-memfd"
                                                                           : "memory-backend-ram",
                                    p, sealed));
    }
    MFD_TRY(const FileFacts facts, look_up(file.fd.ref()));
    file.kind = facts.kind;
    file.page_bytes = facts.page_bytes;
    return file;
}

Result<BackingFile> adopt_backing_file(const BackendProperties& p, UniqueFd fd, bool passed) {
    MFD_TRY(const FileFacts facts, look_up(fd.ref()));
    BackingFile file;
    file.fd = std::move(fd);
    file.kind = facts.kind;
    file.page_bytes = facts.page_bytes;
    file.passed = passed;
    const auto map_bytes = checked_round_up(p.size, facts.page_bytes);
    const auto end = map_bytes ? checked_add(p.offset, *map_bytes) : std::nullopt;
    if (!end || (facts.bytes && *end > *facts.bytes))
        return Error{Errc::BadFormat, "the file behind guest memory '" + p.id + "' ends at " +
                                          hex(facts.bytes.value_or(0)) + ": too short for 'size' " +
                                          hex(p.size) + " plus 'offset' " + hex(p.offset)};
    file.map_bytes = *map_bytes;
    if (passed)
        give_own_position(file);
    return file;
}

} // namespace mfd
