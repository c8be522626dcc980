// Going to the background, and the pid file. Used before any thread exists.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <string>

namespace mfd {

// -daemonize: the parent waits until the child says that it serves, or why it cannot, and leaves
// with that as its exit status. So whoever started the daemon may connect at once.
class Background {
public:
    // Forks. Returns in the child only; the parent ends inside.
    static Result<Background> detach();

    // The daemon serves: lets the parent leave with success, and gives up terminal and directory.
    void ready();

private:
    Background(UniqueFd to_parent, UniqueFd null)
        : to_parent_(std::move(to_parent)), null_(std::move(null)) {}
    UniqueFd to_parent_; // closed without a word: the parent reports failure
    UniqueFd null_;      // /dev/null, opened while the process may
};

// A file with this process's id, locked for as long as the process lives and removed at its end.
class PidFile {
public:
    // Refuses a file that another living process has locked.
    static Result<PidFile> create(const std::string& path);
    PidFile(PidFile&&) noexcept = default;
    PidFile& operator=(PidFile&&) noexcept = default;
    ~PidFile();

private:
    PidFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string path_;
    UniqueFd fd_;
};

} // namespace mfd
