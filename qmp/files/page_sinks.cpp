#include "qmp/files/page_sinks.hpp"

#include "channels/file_io.hpp"

#include <algorithm>
#include <cerrno>
#include <vector>

#include <unistd.h>

namespace mfd::files {

Result<void> SparseFileSink::data(PageIndex first, std::span<const std::byte> pages) {
    written_ += pages.size();
    auto done =
        write_all_at(file_.fd(), pages, offset_.value + (first.value - first_.value) * kPageSize);
    if (!done)
        return with_context("write " + file_.path(), std::move(done).error());
    return {};
}

Result<void> write_stream(const Stream& stream, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t moved = ::write(stream.fd.get(), bytes.data(), bytes.size());
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved < 0)
            return make_sys_error("write " + std::string(stream.name), errno);
        bytes = bytes.subspan(static_cast<std::size_t>(moved));
    }
    return {};
}

Result<void> StreamSink::data(PageIndex, std::span<const std::byte> pages) {
    return write_stream(stream_, pages);
}

Result<void> StreamSink::zeros(PageRun run) {
    const std::vector<std::byte> nothing(std::min<std::uint64_t>(run.count, 256) * kPageSize);
    for (std::uint64_t left = run.count * kPageSize; left != 0;) {
        const auto part = std::span(nothing).first(std::min<std::uint64_t>(left, nothing.size()));
        MFD_CHECK(write_stream(stream_, part));
        left -= part.size();
    }
    return {};
}

Result<void> HexSink::data(PageIndex, std::span<const std::byte> pages) {
    return put_(dump_.add(pages));
}

Result<void> HexSink::zeros(PageRun run) {
    return put_(dump_.add_zeros(run.count * kPageSize));
}

} // namespace mfd::files
