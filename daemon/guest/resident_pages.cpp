#include "daemon/guest/resident_pages.hpp"

#include "daemon/guest/extents.hpp"
#include "daemon/guest/linux_abi.hpp"
#include "proto/checked.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include <fcntl.h>

namespace mfd {

namespace {

using linux_abi::PageRegion;
using linux_abi::PmScanArg;

// Enough that a scattered block needs few calls; 24 KiB of buffer.
constexpr std::size_t kRegionsPerCall = 1024;
// Of the old interface: 8 bytes per page, so one call looks at 32 MiB of memory.
constexpr std::size_t kEntriesPerRead = 8192;

Error scan_error(int sys) {
    return make_sys_error("look up the resident pages of guest memory", sys);
}

// Nothing if the kernel has no PAGEMAP_SCAN.
Result<std::optional<std::vector<ByteExtent>>>
scan(FdRef pagemap, std::span<const std::byte> memory, ResidentPages which) {
    const auto base = reinterpret_cast<std::uintptr_t>(memory.data());
    const ByteExtent whole{0, memory.size()};
    std::vector<PageRegion> regions(kRegionsPerCall);
    std::vector<ByteExtent> found;

    PmScanArg arg{};
    arg.size = sizeof(arg);
    arg.start = base;
    arg.end = base + memory.size();
    arg.vec = reinterpret_cast<std::uintptr_t>(regions.data());
    arg.vec_len = regions.size();
    arg.category_anyof_mask = linux_abi::kPagePresent | linux_abi::kPageSwapped;
    arg.category_mask = linux_abi::kPagePfnZero;
    if (which == ResidentPages::OwnOnly)
        arg.category_mask |= linux_abi::kPageFile;
    arg.category_inverted = arg.category_mask;
    // The answer must name some category; this one is the same for all pages and splits no region.
    arg.return_mask = linux_abi::kPageWpAllowed;

    while (arg.start < arg.end) {
        const int count = ::ioctl(pagemap.get(), linux_abi::kPagemapScan, &arg);
        if (count < 0) {
            if (errno == EINTR)
                continue;
            if (errno == ENOTTY || errno == EINVAL)
                return std::optional<std::vector<ByteExtent>>();
            return scan_error(errno);
        }
        if (static_cast<std::size_t>(count) > regions.size() || arg.walk_end <= arg.start)
            return scan_error(EPROTO); // an answer that would make this loop run for ever
        for (const PageRegion& region : std::span(regions).first(static_cast<std::size_t>(count)))
            append_extent(found, region.start - base, region.end - base, kPageSize, whole);
        arg.start = arg.walk_end;
    }
    return std::optional(std::move(found));
}

Result<std::vector<ByteExtent>> read_entries(FdRef pagemap, std::span<const std::byte> memory,
                                             ResidentPages which) {
    constexpr std::uint64_t present = std::uint64_t{1} << 63;
    constexpr std::uint64_t swapped = std::uint64_t{1} << 62;
    constexpr std::uint64_t of_file = std::uint64_t{1} << 61;
    const std::uint64_t first = reinterpret_cast<std::uintptr_t>(memory.data()) / kPageSize;
    const std::uint64_t pages = memory.size() / kPageSize;
    const ByteExtent whole{0, memory.size()};
    std::vector<std::uint64_t> entries(kEntriesPerRead);
    std::vector<ByteExtent> found;
    for (std::uint64_t page = 0; page < pages;) {
        const std::size_t wanted = std::min<std::size_t>(entries.size(), pages - page) * 8;
        const ssize_t got =
            ::pread(pagemap.get(), entries.data(), wanted, static_cast<off_t>((first + page) * 8));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 8)
            return scan_error(got < 0 ? errno : EIO);
        const std::size_t count = static_cast<std::size_t>(got) / 8;
        for (std::size_t i = 0; i < count; ++i) {
            const bool there = (entries[i] & (present | swapped)) != 0;
            const bool skip = which == ResidentPages::OwnOnly && (entries[i] & of_file) != 0;
            if (there && !skip)
                append_extent(found, (page + i) * kPageSize, (page + i + 1) * kPageSize, kPageSize,
                              whole);
        }
        page += count;
    }
    return found;
}

} // namespace

Result<std::vector<ByteExtent>> find_resident_pages(std::span<const std::byte> memory,
                                                    ResidentPages which) {
    // Opened for each call: after a fork an old descriptor would show the parent's memory.
    const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (!pagemap.valid())
        return make_sys_error("open /proc/self/pagemap", errno);
    MFD_TRY(auto found, scan(pagemap.ref(), memory, which));
    if (found)
        return std::move(*found);
    return read_entries(pagemap.ref(), memory, which);
}

} // namespace mfd
