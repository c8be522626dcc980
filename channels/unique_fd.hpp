// Owner and borrower of a file descriptor. No interface of ours takes a bare int.
#pragma once

#include <utility>

#include <unistd.h>

namespace mfd {

// A descriptor that somebody else owns and keeps open for as long as this is used.
class FdRef {
public:
    constexpr FdRef() = default;
    constexpr explicit FdRef(int fd) : fd_(fd) {}
    [[nodiscard]] constexpr int get() const { return fd_; }
    [[nodiscard]] constexpr bool valid() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

class UniqueFd {
public:
    constexpr UniqueFd() = default;
    constexpr explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other)
            reset(std::exchange(other.fd_, -1));
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool valid() const { return fd_ >= 0; }
    [[nodiscard]] FdRef ref() const { return FdRef(fd_); }
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1) {
        if (const int old = std::exchange(fd_, fd); old >= 0)
            ::close(old);
    }

private:
    int fd_ = -1;
};

} // namespace mfd
