// Parts of the kernel's interface that the headers of Debian 12 (Linux 6.1) do not have yet:
// finding pages by their state (PAGEMAP_SCAN, Linux 6.7) and asynchronous write protection (6.7).
// Numbers and layouts are the kernel's.
#pragma once

#include <linux/types.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include <cstdint>

#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12) // NOLINT: the kernel's name
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13) // NOLINT
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15) // NOLINT
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00) // NOLINT
#endif

namespace mfd::linux_abi {

// Names of our own, so that newer headers which have these cannot clash.
struct PageRegion {
    std::uint64_t start;
    std::uint64_t end;
    std::uint64_t categories;
};

struct PmScanArg {
    std::uint64_t size;
    std::uint64_t flags;
    std::uint64_t start;
    std::uint64_t end;
    std::uint64_t walk_end;
    std::uint64_t vec;
    std::uint64_t vec_len;
    std::uint64_t max_pages;
    std::uint64_t category_inverted;
    std::uint64_t category_mask;
    std::uint64_t category_anyof_mask;
    std::uint64_t return_mask;
};
static_assert(sizeof(PmScanArg) == 96);

inline constexpr unsigned long kPagemapScan = _IOWR('f', 16, PmScanArg);

inline constexpr std::uint64_t kScanWpMatching = 1 << 0;
inline constexpr std::uint64_t kScanCheckWpAsync = 1 << 1;

inline constexpr std::uint64_t kPageWpAllowed = 1 << 0;
inline constexpr std::uint64_t kPageWritten = 1 << 1;
inline constexpr std::uint64_t kPageFile = 1 << 2;
inline constexpr std::uint64_t kPagePresent = 1 << 3;
inline constexpr std::uint64_t kPageSwapped = 1 << 4;
inline constexpr std::uint64_t kPagePfnZero = 1 << 5;

} // namespace mfd::linux_abi
