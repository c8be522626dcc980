#include "qmp/convert/feed.hpp"

#include "qmp/convert/watcher.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <unistd.h>

namespace mfd::convert {

namespace {

// Twice what may be asked for at once, so that most calls of peek() move nothing.
constexpr std::size_t kBufferBytes = 2 * ByteStream::kMaxPeek;

class FdFeed final : public Feed {
public:
    FdFeed(FdRef fd, FdRef stop) : fd_(fd), stop_(stop) {}
    Result<std::size_t> read(std::span<std::byte> into) override {
        for (;;) {
            std::array<pollfd, 2> waits{
                {{fd_.get(), POLLIN, 0}, {stop_.valid() ? stop_.get() : -1, POLLIN, 0}}};
            if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR)
                return make_sys_error("wait for input", errno);
            if (waits[1].revents != 0)
                return Watcher::stopped();
            if (waits[0].revents == 0)
                continue;
            const ssize_t got = ::read(fd_.get(), into.data(), into.size());
            if (got >= 0)
                return static_cast<std::size_t>(got);
            if (errno != EINTR && errno != EAGAIN)
                return make_sys_error("read input", errno);
        }
    }

private:
    FdRef fd_;
    FdRef stop_;
};

} // namespace

std::unique_ptr<Feed> make_fd_feed(FdRef fd, FdRef stop) {
    return std::make_unique<FdFeed>(fd, stop);
}

BufferedStream::BufferedStream(std::unique_ptr<Feed> feed)
    : feed_(std::move(feed)), buffer_(kBufferBytes) {}

Result<std::span<const std::byte>> BufferedStream::peek(std::size_t want) {
    if (end_ - begin_ < want && !at_end_) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        before_ += begin_;
        end_ -= begin_;
        begin_ = 0;
        while (end_ < want && !at_end_) {
            MFD_TRY(const std::size_t got, feed_->read(std::span(buffer_).subspan(end_)));
            end_ += got;
            at_end_ = got == 0;
        }
    }
    return std::span<const std::byte>(buffer_).subspan(begin_, end_ - begin_);
}

} // namespace mfd::convert
