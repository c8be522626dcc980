#include "qmp/convert/gathering_sink.hpp"

#include "channels/zero_page.hpp"

#include <algorithm>
#include <utility>

namespace mfd::convert {

Result<void> GatheringSink::pages(std::size_t block, PageRun run,
                                  std::span<const std::byte> bytes) {
    while (run.count != 0) {
        const bool goes_on = block == block_ && data_.count != 0 && data_.end() == run.first;
        if (!goes_on || data_.count == kBufferPages) {
            MFD_CHECK(flush());
            block_ = block;
            data_ = {run.first, 0};
        }
        const std::uint64_t count = std::min(run.count, kBufferPages - data_.count);
        const auto part = bytes.first(count * kPageSize);
        std::copy(part.begin(), part.end(), buffer_.page(data_.count));
        data_.count += count;
        bytes = bytes.subspan(part.size());
        run = {run.first + count, run.count - count};
    }
    return {};
}

Result<void> GatheringSink::zero_pages(std::size_t block, PageRun run) {
    const bool goes_on = block == block_ && empty_.count != 0 && empty_.end() == run.first;
    if (!goes_on) {
        MFD_CHECK(flush());
        block_ = block;
        empty_ = {run.first, 0};
    }
    empty_.count += run.count;
    return {};
}

Result<void> GatheringSink::flush() {
    if (const PageRun run = std::exchange(empty_, {}); run.count != 0)
        return write_zeros(block_, run);
    const PageRun run = std::exchange(data_, {});
    std::uint64_t at = 0;
    while (at < run.count) {
        const std::uint64_t left = run.count - at;
        const std::byte* const from = buffer_.page(at);
        const bool drop = zeros_ == ZeroPages::Drop;
        if (const std::uint64_t zero = drop ? count_zero_pages(from, left) : 0; zero != 0) {
            MFD_CHECK(write_zeros(block_, {run.first + at, zero}));
            at += zero;
            continue;
        }
        const std::uint64_t data = drop ? count_data_pages(from, left) : left;
        MFD_CHECK(write_run(block_, {run.first + at, data}, {from, data * kPageSize}));
        at += data;
    }
    return {};
}

} // namespace mfd::convert
