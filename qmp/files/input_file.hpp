// A file that is looked at: its bytes for the decoder, and where it has none. Only read, never
// changed. Any thread may read; next_data() moves the descriptor's position, so that belongs to one
// thread at a time.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/decode.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace mfd::files {

struct FileRange {
    FileOffset from;
    FileOffset to;
};

class InputFile final : public ByteSource {
public:
    // A regular file or a block device. The error's text is "open PATH: ...".
    static Result<InputFile> open(const std::string& path);

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] FdRef fd() const { return fd_.ref(); }
    [[nodiscard]] std::uint64_t size() const override { return size_; }
    // What the file takes on its file system; of a device its size.
    [[nodiscard]] std::uint64_t allocated_bytes() const { return allocated_; }

    Result<void> read_at(FileOffset at, std::span<std::byte> into) override {
        return read(at, into);
    }
    Result<void> read(FileOffset at, std::span<std::byte> into) const;

    // The first part of [from, to) that is no hole; nothing where all of it is a hole or behind the
    // end of the file. A file system that does not know has no holes.
    [[nodiscard]] std::optional<FileRange> next_data(FileOffset from, FileOffset to) const;

private:
    InputFile() = default;

    std::string path_;
    UniqueFd fd_;
    std::uint64_t size_ = 0;
    std::uint64_t allocated_ = 0;
};

} // namespace mfd::files
