// Landlock, the kernel's rules on what this process may do with paths. There is no library for it
// in Debian, so these are the three system calls. Control thread, before any other thread exists:
// a thread inherits the rules of the one that made it, and no other gets them.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace mfd {

// What a rule permits below a path; a file's own rule can permit Read and Write.
enum class PathAccess : std::uint8_t {
    Read = 1,   // open files for reading, list directories
    Write = 2,  // open files for writing, cut them
    Make = 4,   // make and rename ordinary files
    Remove = 8, // and remove them
};
constexpr std::uint8_t operator|(PathAccess a, PathAccess b) {
    return static_cast<std::uint8_t>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr std::uint8_t operator|(std::uint8_t a, PathAccess b) {
    return static_cast<std::uint8_t>(a | static_cast<unsigned>(b));
}

class Landlock {
public:
    // The version of the kernel's interface; 0 and the reason in `lacks` if there is none.
    struct Support {
        int abi = 0;
        std::string lacks;
    };
    [[nodiscard]] static Support support();

    // Rules that permit nothing yet. Everything the kernel knows is then refused: execution,
    // devices, sockets in the file system, TCP, signals to processes outside.
    static Result<Landlock> make(int abi);

    // Permits `access` (of PathAccess) at `path` and below. The opened path, which pins the rule:
    // the kernel forgets an unused inode of /proc, and with it the rule.
    Result<UniqueFd> allow(const std::string& path, std::uint8_t access);

    // From now on, for this thread and those it makes. Needs no-new-privileges.
    Result<void> restrict_self();

private:
    Landlock(UniqueFd ruleset, std::uint64_t handled)
        : ruleset_(std::move(ruleset)), handled_(handled) {}

    UniqueFd ruleset_;
    std::uint64_t handled_; // LANDLOCK_ACCESS_FS_ of the kernel at hand
};

} // namespace mfd
