// Writes QEMU's ordinary stream to a descriptor, from its position on: a file or a pipe. One
// thread; the descriptor is borrowed.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/sequential.hpp"
#include "qmp/convert/gathering_sink.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace mfd::convert {

class SequentialWriter final : public GatheringSink {
public:
    // `early`: devices that a guest needs before its pages. `stop`: see Watcher::stop_fd().
    SequentialWriter(FdRef out, FdRef stop, ZeroPages zeros, std::vector<DeviceSection> early);

    Result<void> begin(const GuestHead& head) override;
    Result<void> finish(const GuestTail& tail);

    [[nodiscard]] std::uint64_t data_pages() const { return data_pages_; }
    [[nodiscard]] std::uint64_t bytes_written() const { return bytes_written_; }

private:
    Result<void> write_run(std::size_t block, PageRun run,
                           std::span<const std::byte> bytes) override;
    Result<void> write_zeros(std::size_t block, PageRun run) override;
    Result<void> put_page(std::size_t block, std::uint64_t page, std::span<const std::byte> bytes);
    Result<void> write_out();

    FdRef out_;
    std::size_t most_; // bytes of one write that does not block once there is room
    FdRef stop_;
    std::vector<DeviceSection> early_;
    GuestHead head_;
    ByteWriter pending_;
    std::size_t block_ = 0;           // of the page before
    std::uint64_t pages_in_part_ = 0; // 0: no part has begun
    std::uint64_t data_pages_ = 0;
    std::uint64_t bytes_written_ = 0;
};

} // namespace mfd::convert
