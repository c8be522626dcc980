// Where the pages of a block go. Each takes one walk.
#pragma once

#include "channels/unique_fd.hpp"
#include "qmp/files/hex_dump.hpp"
#include "qmp/files/output_file.hpp"
#include "qmp/files/page_walk.hpp"

#include <functional>
#include <string_view>

namespace mfd::files {

// Into a file that is all hole: zeros stay holes. `first` goes to `offset`.
class SparseFileSink final : public PageSink {
public:
    SparseFileSink(const OutputFile& file, PageIndex first, FileOffset offset)
        : file_(file), first_(first), offset_(offset) {}
    Result<void> data(PageIndex first, std::span<const std::byte> pages) override;
    Result<void> zeros(PageRun) override { return {}; }
    [[nodiscard]] std::uint64_t written_bytes() const { return written_; }

private:
    const OutputFile& file_;
    PageIndex first_;
    FileOffset offset_;
    std::uint64_t written_ = 0;
};

// What takes bytes one after the other; `name` is for errors.
struct Stream {
    FdRef fd;
    std::string_view name;
};
Result<void> write_stream(const Stream& stream, std::span<const std::byte> bytes);

// One after the other, zeros included: into a pipe.
class StreamSink final : public PageSink {
public:
    explicit StreamSink(Stream stream) : stream_(stream) {}
    Result<void> data(PageIndex first, std::span<const std::byte> pages) override;
    Result<void> zeros(PageRun run) override;

private:
    Stream stream_;
};

// As text, by offsets in the block.
class HexSink final : public PageSink {
public:
    using Put = std::function<Result<void>(std::string_view text)>;
    HexSink(PageIndex first, Put put) : dump_(first.value * kPageSize), put_(std::move(put)) {}
    Result<void> data(PageIndex first, std::span<const std::byte> pages) override;
    Result<void> zeros(PageRun run) override;
    // The last line; behind the walk.
    Result<void> finish() { return put_(dump_.end()); }

private:
    HexDump dump_;
    Put put_;
};

} // namespace mfd::files
