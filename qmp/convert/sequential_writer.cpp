#include "qmp/convert/sequential_writer.hpp"

#include "channels/file_io.hpp"
#include "proto/device_state.hpp"
#include "proto/trailer_mark.hpp"
#include "qmp/convert/watcher.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include <linux/limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mfd::convert {

namespace {

constexpr std::size_t kWriteBytes = std::size_t{1} << 20;
// Chosen: a loading QEMU looks at its monitor between parts.
constexpr std::uint64_t kPartPages = 32768;

constexpr std::array<std::byte, kPageSize> kZeroPage{};

// A pipe that poll() calls ready takes so much; more blocks until it is read, whoever interrupts.
std::size_t most_at_once(FdRef out) {
    struct stat status {};
    const bool is_file = ::fstat(out.get(), &status) == 0 && S_ISREG(status.st_mode);
    return is_file ? std::numeric_limits<std::size_t>::max() : std::size_t{PIPE_BUF};
}

Configuration without_mapped_ram(Configuration configuration) {
    std::erase(configuration.capabilities, "mapped-ram");
    return configuration;
}

} // namespace

SequentialWriter::SequentialWriter(FdRef out, FdRef stop, ZeroPages zeros,
                                   std::vector<DeviceSection> early)
    : GatheringSink(zeros), out_(out), most_(most_at_once(out)), stop_(stop),
      early_(std::move(early)) {}

Result<void> SequentialWriter::begin(const GuestHead& head) {
    head_ = head;
    pending_.put_bytes(encode_sequential_head(without_mapped_ram(head.configuration), head.blocks));
    MFD_TRY(const auto early, encode_devices(FileOffset(0), early_));
    pending_.put_bytes(early.bytes);
    return {};
}

Result<void> SequentialWriter::write_run(std::size_t block, PageRun run,
                                         std::span<const std::byte> bytes) {
    for (std::uint64_t i = 0; i < run.count; ++i)
        MFD_CHECK(put_page(block, run.first + i, bytes.subspan(i * kPageSize, kPageSize)));
    return {};
}

Result<void> SequentialWriter::write_zeros(std::size_t block, PageRun run) {
    const bool store = zeros() == ZeroPages::Store;
    for (std::uint64_t page = run.first; page < run.end(); ++page)
        MFD_CHECK(
            put_page(block, page,
                     store ? std::span<const std::byte>(kZeroPage) : std::span<const std::byte>()));
    return {};
}

// No bytes: a zero page.
Result<void> SequentialWriter::put_page(std::size_t block, std::uint64_t page,
                                        std::span<const std::byte> bytes) {
    if (pages_in_part_ == 0)
        put_part_begin(pending_);
    const bool named = pages_in_part_ == 0 || block != block_;
    block_ = block;
    put_page_word(pending_, PageIndex(page), bytes.empty() ? PageKind::Zero : PageKind::Data,
                  named ? NamesBlock::Yes : NamesBlock::SameAsBefore, head_.blocks[block].idstr);
    pending_.put_bytes(bytes);
    data_pages_ += bytes.empty() ? 0 : 1;
    if (++pages_in_part_ == kPartPages) {
        put_part_end(pending_);
        pages_in_part_ = 0;
    }
    return pending_.size() < kWriteBytes ? Result<void>() : write_out();
}

Result<void> SequentialWriter::finish(const GuestTail& tail) {
    MFD_CHECK(flush());
    if (pages_in_part_ != 0)
        put_part_end(pending_);
    std::string text =
        with_configuration(without_trailer_id(tail.vmdescription), head_.configuration,
                           without_mapped_ram(head_.configuration));
    MFD_TRY(const auto closing,
            encode_tail(FileOffset(0), {tail.switchover_start, tail.devices, std::move(text)}));
    pending_.put_bytes(closing.bytes);
    return write_out();
}

Result<void> SequentialWriter::write_out() {
    const auto bytes = pending_.take_all();
    bytes_written_ += bytes.size();
    const auto write = [this](std::span<const std::byte> data,
                              std::uint64_t /*offset*/) -> ssize_t {
        std::array<pollfd, 2> waits{
            {{out_.get(), POLLOUT, 0}, {stop_.valid() ? stop_.get() : -1, POLLIN, 0}}};
        if (::poll(waits.data(), waits.size(), -1) < 0)
            return -errno;
        if (waits[1].revents != 0)
            return -ECANCELED;
        const ssize_t written = ::write(out_.get(), data.data(), std::min(data.size(), most_));
        return written < 0 ? -errno : written;
    };
    auto done = write_all_at(write, bytes, 0);
    if (!done.has_value() && done.error().sys == ECANCELED)
        return Watcher::stopped();
    return done;
}

} // namespace mfd::convert
