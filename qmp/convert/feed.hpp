// Where a stream's bytes come from: a descriptor, or what a descriptor has decompressed; and the
// buffer in front of it that the decoder reads from. One thread.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "proto/sequential.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace mfd::convert {

class Feed {
public:
    virtual ~Feed() = default;
    // Some bytes, at most into.size(); 0 at the end.
    virtual Result<std::size_t> read(std::span<std::byte> into) = 0;

protected:
    Feed() = default;
    Feed(const Feed&) = default;
    Feed& operator=(const Feed&) = default;
};

// A file, pipe or socket from where its position is. `stop`: see Watcher::stop_fd(). Both are
// borrowed.
std::unique_ptr<Feed> make_fd_feed(FdRef fd, FdRef stop);
// What is compressed in `packed`, which is borrowed: any number of members or frames.
std::unique_ptr<Feed> make_gzip_feed(ByteStream& packed);
Result<std::unique_ptr<Feed>> make_zstd_feed(ByteStream& packed);

class BufferedStream final : public ByteStream {
public:
    explicit BufferedStream(std::unique_ptr<Feed> feed);
    Result<std::span<const std::byte>> peek(std::size_t want) override;
    void skip(std::size_t bytes) override { begin_ += bytes; }
    [[nodiscard]] std::uint64_t position() const override { return before_ + begin_; }

private:
    std::unique_ptr<Feed> feed_;
    std::vector<std::byte> buffer_;
    std::size_t begin_ = 0; // of what has not been gone past
    std::size_t end_ = 0;
    std::uint64_t before_ = 0; // bytes that have left the buffer
    bool at_end_ = false;
};

} // namespace mfd::convert
