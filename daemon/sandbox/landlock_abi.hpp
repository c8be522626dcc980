// Landlock's interface as of its version 6. The header of Debian 12 ends at 2, so all of it is here
// under names of our own. Numbers and layouts are the kernel's (linux/landlock.h).
#pragma once

#include <cstdint>

namespace mfd::landlock_abi {

inline constexpr unsigned kCreateRulesetVersion = 1;
inline constexpr int kRulePathBeneath = 1;

inline constexpr std::uint64_t kExecute = 1 << 0;
inline constexpr std::uint64_t kWriteFile = 1 << 1;
inline constexpr std::uint64_t kReadFile = 1 << 2;
inline constexpr std::uint64_t kReadDir = 1 << 3;
inline constexpr std::uint64_t kRemoveFile = 1 << 5;
inline constexpr std::uint64_t kMakeReg = 1 << 8;
inline constexpr std::uint64_t kRefer = 1 << 13;    // version 2: rename and link across directories
inline constexpr std::uint64_t kTruncate = 1 << 14; // version 3
// All of version 1, execution and making of every kind of node included.
inline constexpr std::uint64_t kAllOfVersion1 = (1 << 13) - 1;

inline constexpr std::uint64_t kBindTcp = 1 << 0;     // version 4
inline constexpr std::uint64_t kConnectTcp = 1 << 1;  // version 4
inline constexpr std::uint64_t kScopeSignal = 1 << 1; // version 6

// Older kernels take the beginning of it, as much as they know.
struct RulesetAttr {
    std::uint64_t handled_access_fs;
    std::uint64_t handled_access_net; // version 4
    std::uint64_t scoped;             // version 6
};

struct [[gnu::packed]] PathBeneathAttr {
    std::uint64_t allowed_access;
    std::int32_t parent_fd;
};
static_assert(sizeof(PathBeneathAttr) == 12);

} // namespace mfd::landlock_abi
