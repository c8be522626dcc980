#include "channels/run_builder.hpp"

#include <algorithm>
#include <climits>
#include <utility>

namespace mfd {

RunBuilder::RunBuilder(TransferWindow& window, TransferOp op, RunLimits limits)
    : window_(window), op_(op), limits_(limits) {
    if (limits_.direct)
        limits_.direct->offset_bytes =
            std::max<std::uint32_t>(limits_.direct->offset_bytes, kPageSize);
    const std::size_t unit = limits_.direct ? limits_.direct->offset_bytes : kPageSize;
    limits_.transfer_bytes = std::max(limits_.transfer_bytes / kPageSize * kPageSize, unit);
}

void RunBuilder::set_target(const RunTarget& target) {
    target_ = target;
    direct_ = limits_.direct &&
              reinterpret_cast<std::uintptr_t>(target.base) % limits_.direct->memory_bytes == 0;
}

std::uint64_t RunBuilder::file_offset(std::uint64_t page) const {
    return target_.block.pages_offset + page * kPageSize;
}

Result<void> RunBuilder::add(PageRun run, PageSource source, const std::stop_token& stop) {
    if (begin_ != end_ && run.first != end_ + gap_pages_)
        MFD_CHECK(flush(stop));
    if (begin_ == end_)
        begin_transfer(run.first);
    for (const Piece& piece : gap_)
        MFD_CHECK(append(piece, stop));
    gap_.clear();
    gap_pages_ = 0;
    return append({run, source}, stop);
}

Result<void> RunBuilder::offer(PageRun run, PageSource source, const std::stop_token& stop) {
    if (begin_ == end_)
        return {};
    if (run.first != end_ + gap_pages_ ||
        (gap_pages_ + run.count) * kPageSize > limits_.bridge_bytes)
        return flush(stop);
    gap_.push_back({run, source});
    gap_pages_ += run.count;
    return {};
}

// The rate may change at any time, but not the size of a transfer that has begun.
void RunBuilder::begin_transfer(std::uint64_t page) {
    const std::uint64_t unit = limits_.direct ? limits_.direct->offset_bytes : kPageSize;
    largest_bytes_ =
        std::clamp<std::uint64_t>(window_.transfer_bytes(), unit, limits_.transfer_bytes);
    largest_bytes_ -= largest_bytes_ % kPageSize;
    begin_ = end_ = page;
}

void RunBuilder::append_part(std::byte* base, std::uint64_t bytes) {
    auto& parts = window_.next_parts();
    if (!parts.empty() &&
        static_cast<std::byte*>(parts.back().iov_base) + parts.back().iov_len == base)
        parts.back().iov_len += bytes;
    else
        parts.push_back({base, bytes});
}

Result<void> RunBuilder::append(Piece piece, const std::stop_token& stop) {
    const std::uint64_t unit = direct_ ? limits_.direct->offset_bytes : kPageSize;
    while (piece.run.count != 0) {
        // A transfer that was cut ends on the device's unit, so that the next begins on it.
        const std::uint64_t start = file_offset(begin_);
        const std::uint64_t full_end = (start + largest_bytes_) / unit * unit;
        const std::uint64_t at = file_offset(piece.run.first);
        const std::uint64_t room = full_end - at;
        std::uint64_t bytes = std::min(piece.run.count * kPageSize, room);
        if (piece.source == PageSource::Guest) {
            append_part(target_.base + piece.run.first * kPageSize, bytes);
        } else {
            bytes = std::min<std::uint64_t>(bytes, limits_.stand_in.size());
            append_part(limits_.stand_in.data(), bytes);
        }
        piece.run.first += bytes / kPageSize;
        piece.run.count -= bytes / kPageSize;
        end_ = piece.run.first;
        if (file_offset(end_) == full_end || window_.next_parts().size() == IOV_MAX) {
            MFD_CHECK(send(stop));
            begin_transfer(end_);
        }
    }
    return {};
}

Result<void> RunBuilder::flush(const std::stop_token& stop) {
    gap_.clear();
    gap_pages_ = 0;
    return send(stop);
}

Result<void> RunBuilder::send(const std::stop_token& stop) {
    const std::uint64_t first = file_offset(begin_);
    const std::uint64_t last = file_offset(end_);
    begin_ = end_;
    if (first == last)
        return {};
    if (!direct_)
        return window_.start(op_, kBufferedFile, first, target_.block, stop);
    const std::uint64_t unit = limits_.direct->offset_bytes;
    const std::uint64_t core_first = (first + unit - 1) / unit * unit;
    const std::uint64_t core_last = last / unit * unit;
    if (core_first == first && core_last == last)
        return window_.start(op_, kDirectFile, first, target_.block, stop);
    if (core_first >= core_last)
        return window_.start(op_, kBufferedFile, first, target_.block, stop);
    return send_split(first, core_first, core_last, stop);
}

// Devices whose unit is larger than a page: the ends that are not whole units go through the
// buffered descriptor.
Result<void> RunBuilder::send_split(std::uint64_t first, std::uint64_t core_first,
                                    std::uint64_t core_last, const std::stop_token& stop) {
    rest_ = window_.next_parts();
    std::span<iovec> rest(rest_);
    const auto send_front = [&](unsigned file, std::uint64_t at,
                                std::uint64_t bytes) -> Result<void> {
        auto& parts = window_.next_parts();
        parts.clear();
        take_front(rest, bytes, parts);
        return parts.empty() ? Result<void>{} : window_.start(op_, file, at, target_.block, stop);
    };
    const std::uint64_t tail = total_bytes(rest) - (core_last - first);
    MFD_CHECK(send_front(kBufferedFile, first, core_first - first));
    MFD_CHECK(send_front(kDirectFile, core_first, core_last - core_first));
    return send_front(kBufferedFile, core_last, tail);
}

} // namespace mfd
