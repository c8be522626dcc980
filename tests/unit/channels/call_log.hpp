// What the code under test asks of the kernel for its files: which calls, in which order, and with
// what answers. Whether a save survives a power cut is a matter of that order.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace mfd::test {

// While one lives, calls of this process are noted down in it; one at a time. The functions of the
// C library are replaced for the whole program and do as ever otherwise.
class CallLog {
public:
    CallLog();
    ~CallLog();
    CallLog(const CallLog&) = delete;
    CallLog& operator=(const CallLog&) = delete;

    // "pwrite 8 at 0", "fdatasync", "publish" (either way to give a file its name), and so on.
    [[nodiscard]] std::vector<std::string> calls() const;

    // How many bytes the next vectored transfers move at most, or an errno with a minus.
    std::deque<ssize_t> transfers{};
    // What fstatvfs says is free.
    std::optional<std::uint64_t> free_blocks{};
};

} // namespace mfd::test
