#include "daemon/guest/write_protection.hpp"

#include "daemon/guest/linux_abi.hpp"
#include "proto/checked.hpp"

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

namespace mfd {

namespace {

using linux_abi::PageRegion;
using linux_abi::PmScanArg;

constexpr std::uint64_t kNeededFeatures =
    UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_ASYNC;
// A signal waits for the end of such a call, so it must not take long.
constexpr std::uint64_t kProtectStep = std::uint64_t{1} << 30;
constexpr std::size_t kRegionsPerCall = 1024; // 24 KiB of buffer

std::string kernel_release() {
    utsname names{};
    return ::uname(&names) == 0 ? std::string("this is Linux ") + names.release
                                : std::string("this is an older one");
}

Error lacks(const std::string& what, int sys) {
    return Error{Errc::Unsupported, what + " (" + kernel_release() + ")", sys};
}

Result<UniqueFd> open_userfaultfd() {
    // Without the right to handle faults of the kernel, which nobody here needs: it is what every
    // process may do.
    constexpr int flags = O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY;
    UniqueFd fd(static_cast<int>(::syscall(SYS_userfaultfd, flags)));
    if (fd.valid())
        return fd;
    if (errno == ENOSYS)
        return lacks("the kernel has no userfaultfd (CONFIG_USERFAULTFD)", ENOSYS);
    if (errno == EINVAL)
        return lacks("userfaultfd for user mode needs Linux 5.11", EINVAL);
    const int refused = errno;
    const UniqueFd device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
    if (device.valid())
        fd.reset(::ioctl(device.get(), USERFAULTFD_IOC_NEW, flags));
    if (fd.valid())
        return fd;
    return make_sys_error(
        "userfaultfd is not permitted to this process; a system call filter "
        "(SystemCallFilter=, seccomp) or the rights of /dev/userfaultfd forbid it",
        refused);
}

Result<void> check_features() {
    // Features are agreed on once per descriptor, so asking which there are takes one of its own.
    MFD_TRY(const UniqueFd asking, open_userfaultfd());
    uffdio_api api{};
    api.api = UFFD_API;
    if (::ioctl(asking.get(), UFFDIO_API, &api) != 0)
        return make_sys_error("ask userfaultfd for its features", errno);
    if ((api.features & kNeededFeatures) != kNeededFeatures)
        return lacks("asynchronous write protection (UFFD_FEATURE_WP_ASYNC) needs Linux 6.7",
                     EOPNOTSUPP);
    return {};
}

Result<UniqueFd> open_pagemap() {
    UniqueFd fd(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (!fd.valid())
        return make_sys_error("open /proc/self/pagemap", errno);
    PmScanArg arg{}; // an empty range: is the call known?
    arg.size = sizeof(arg);
    if (::ioctl(fd.get(), linux_abi::kPagemapScan, &arg) < 0 && errno == ENOTTY)
        return lacks("PAGEMAP_SCAN needs Linux 6.7", ENOTTY);
    return fd;
}

uffdio_range range_of(const MemoryBackend& block) {
    // The mapping ends with a page of its kind, however odd the block's size is.
    const std::uint64_t pages =
        block.size() / block.page_bytes() + (block.size() % block.page_bytes() != 0 ? 1 : 0);
    return {reinterpret_cast<std::uintptr_t>(block.memory().data()), pages * block.page_bytes()};
}

Error failed(const char* what, const MemoryBackend& block, int sys) {
    return make_sys_error(std::string(what) + " of block " + block.block_name(), sys);
}

} // namespace

Result<void> WriteProtection::probe() {
    MFD_CHECK(open());
    return {};
}

Result<WriteProtection> WriteProtection::open() {
    MFD_CHECK(check_features());
    MFD_TRY(UniqueFd uffd, open_userfaultfd());
    uffdio_api api{};
    api.api = UFFD_API;
    api.features = kNeededFeatures;
    if (::ioctl(uffd.get(), UFFDIO_API, &api) != 0)
        return make_sys_error("set up userfaultfd for asynchronous write protection", errno);
    MFD_TRY(UniqueFd pagemap, open_pagemap());
    return WriteProtection(std::move(uffd), std::move(pagemap));
}

WriteProtection::~WriteProtection() {
    stop();
}

// By a scan that reports nothing: UFFDIO_WRITEPROTECT does the same, but looks at the page behind
// every entry (measured per GiB of shared memory: 7 ms against 30 to 80).
Result<void> WriteProtection::protect(const MemoryBackend& block, std::uint64_t start,
                                      std::uint64_t length) const {
    const std::uint64_t end = start + length;
    PmScanArg arg{};
    arg.size = sizeof(arg);
    arg.flags = linux_abi::kScanWpMatching | linux_abi::kScanCheckWpAsync;
    arg.category_mask = linux_abi::kPageWritten; // what is not protected yet
    arg.start = start;
    while (arg.start < end) {
        arg.end = std::min(end, arg.start + kProtectStep);
        if (::ioctl(pagemap_.get(), linux_abi::kPagemapScan, &arg) < 0) {
            if (errno == EINTR)
                continue;
            return failed("write-protect memory", block, errno);
        }
        if (arg.walk_end <= arg.start)
            return failed("write-protect memory", block, EPROTO); // this loop would never end
        arg.start = arg.walk_end;
    }
    return {};
}

Result<void> WriteProtection::start(const MemoryBackend& block) {
    const bool anonymous = block.kind() == MemoryKind::Anonymous;
    if (anonymous) // a huge page that appears later would count as written from end to end
        static_cast<void>(::madvise(block.memory().data(), block.size(), MADV_NOHUGEPAGE));
    uffdio_register request{};
    request.range = range_of(block);
    request.mode = UFFDIO_REGISTER_MODE_WP;
    if (::ioctl(uffd_.get(), UFFDIO_REGISTER, &request) != 0) {
        if (errno == EBUSY)
            return Error{Errc::WrongState,
                         "track writes to memory of block " + block.block_name() +
                             ": something else tracks this memory already",
                         EBUSY};
        return failed("track writes to memory", block, errno);
    }
    blocks_.push_back(&block);
    if (!anonymous)
        return protect(block, request.range.start, request.range.len);

    // A page that appears after this look is not protected, that is, counts as written.
    MFD_TRY(const auto extents, block.data_extents());
    for (const ByteExtent& extent : extents)
        MFD_CHECK(protect(block, request.range.start + extent.offset, extent.length));
    return {};
}

Result<std::uint64_t> WriteProtection::take_written(const MemoryBackend& block,
                                                    PageBitmap& into) const {
    if (into.pages() != block.size() / kPageSize)
        return Error{Errc::BadArgument, "take dirty pages of block " + block.block_name() +
                                            ": the bitmap is of another size"};
    const uffdio_range range = range_of(block);
    std::vector<PageRegion> regions(kRegionsPerCall);
    PmScanArg arg{};
    arg.size = sizeof(arg);
    arg.flags = linux_abi::kScanWpMatching | linux_abi::kScanCheckWpAsync;
    arg.start = range.start;
    arg.end = range.start + range.len;
    arg.vec = reinterpret_cast<std::uintptr_t>(regions.data());
    arg.vec_len = regions.size();
    // Exactly these two masks make the kernel count an entry without a marker as written.
    arg.category_mask = linux_abi::kPageWritten;
    arg.return_mask = linux_abi::kPageWritten;
    if (block.kind() == MemoryKind::Anonymous) {
        // No entry, no write; and the page of zeros, mapped by a read, is none either.
        arg.category_anyof_mask = linux_abi::kPagePresent | linux_abi::kPageSwapped;
        arg.category_mask |= linux_abi::kPagePfnZero;
        arg.category_inverted = linux_abi::kPagePfnZero;
    }
    std::uint64_t written = 0;
    while (arg.start < arg.end) {
        const int count = ::ioctl(pagemap_.get(), linux_abi::kPagemapScan, &arg);
        if (count < 0)
            return failed("take dirty pages", block, errno);
        if (static_cast<std::size_t>(count) > regions.size() || arg.walk_end <= arg.start)
            return failed("take dirty pages", block, EPROTO); // this loop would never end
        for (const PageRegion& region : std::span(regions).first(static_cast<std::size_t>(count))) {
            const std::uint64_t first = (region.start - range.start) / kPageSize;
            const std::uint64_t end =
                std::min<std::uint64_t>((region.end - range.start) / kPageSize, into.pages());
            if (first >= end)
                continue;
            into.set_range({first, end - first});
            written += end - first;
        }
        arg.start = arg.walk_end;
    }
    return written;
}

void WriteProtection::stop() {
    for (const MemoryBackend* block : std::exchange(blocks_, {}))
        if (block->kind() == MemoryKind::Anonymous)
            static_cast<void>(::madvise(block->memory().data(), block->size(), MADV_HUGEPAGE));
}

} // namespace mfd
