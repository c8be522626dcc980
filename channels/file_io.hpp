// Full-length positional transfers: they go on after a short count, EINTR and EAGAIN, and never
// move a file position. A write that takes nothing and a read at the end of the file are errors.
// Thread-safe as far as the descriptor is; they block for as long as the file system does.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <sys/types.h>
#include <sys/uio.h>

namespace mfd {

// Drops the first `bytes` of what `parts` describe; parts that are used up leave the span.
std::span<iovec> advance_iovecs(std::span<iovec> parts, std::uint64_t bytes);
// Moves what describes the first `bytes` (no more than there are) from `parts` to the end of
// `front`.
void take_front(std::span<iovec>& parts, std::uint64_t bytes, std::vector<iovec>& front);
[[nodiscard]] std::uint64_t total_bytes(std::span<const iovec> parts);

Error make_zero_write_error(std::uint64_t offset);
Error make_end_of_file_error(std::uint64_t offset, std::uint64_t missing_bytes);

// Whether a call that moved nothing is made again: after EINTR and EAGAIN, though not for ever.
class Retries {
public:
    [[nodiscard]] bool again(int sys) { return (sys == EINTR || sys == EAGAIN) && left_-- > 0; }
    void moved_on() { left_ = kMost; }

private:
    static constexpr int kMost = 1000;
    int left_ = kMost;
};

enum class TransferOp : std::uint8_t { Write, Read };

// `transfer(data, offset)` moves some bytes and returns how many, or a negative errno; a template,
// so that tests can script the kernel's answers.
template <class Transfer, class Byte>
Result<void> transfer_all_at(Transfer& transfer, std::span<Byte> data, std::uint64_t offset,
                             TransferOp op) {
    const bool is_read = op == TransferOp::Read;
    Retries retries;
    while (!data.empty()) {
        const ssize_t moved = transfer(data, offset);
        if (moved < 0 && retries.again(static_cast<int>(-moved)))
            continue;
        if (moved < 0)
            return make_sys_error(is_read ? "read file" : "write file", static_cast<int>(-moved));
        if (moved == 0)
            return is_read ? make_end_of_file_error(offset, data.size())
                           : make_zero_write_error(offset);
        retries.moved_on();
        data = data.subspan(static_cast<std::size_t>(moved));
        offset += static_cast<std::uint64_t>(moved);
    }
    return {};
}

template <class Write>
Result<void> write_all_at(Write& write, std::span<const std::byte> data, std::uint64_t offset) {
    return transfer_all_at(write, data, offset, TransferOp::Write);
}

template <class Read>
Result<void> read_all_at(Read& read, std::span<std::byte> data, std::uint64_t offset) {
    return transfer_all_at(read, data, offset, TransferOp::Read);
}

Result<void> write_all_at(FdRef fd, std::span<const std::byte> data, std::uint64_t offset);
Result<void> read_all_at(FdRef fd, std::span<std::byte> data, std::uint64_t offset);

// The vectored forms change `parts` as they go on; any number of parts.
Result<void> writev_all_at(FdRef fd, std::span<iovec> parts, std::uint64_t offset);
Result<void> readv_all_at(FdRef fd, std::span<iovec> parts, std::uint64_t offset);

// As much as there is up to data.size(); less only at the end of the file.
Result<std::size_t> read_up_to_at(FdRef fd, std::span<std::byte> data, std::uint64_t offset);

// Frees the blocks of [offset, offset + bytes), which reads as zero from then on; the file's length
// stays. 0 or an errno.
[[nodiscard]] int punch_hole(FdRef fd, std::uint64_t offset, std::uint64_t bytes);

} // namespace mfd
