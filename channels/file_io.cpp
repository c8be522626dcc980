#include "channels/file_io.hpp"

#include <algorithm>
#include <climits>
#include <string>

#include <fcntl.h>

namespace mfd {

namespace {

ssize_t or_errno(ssize_t moved) {
    return moved < 0 ? -errno : moved;
}

// The vectored loop; `transfer(parts, offset)` as in transfer_all_at.
template <class TransferV>
Result<void> transfer_parts_at(TransferV transfer, std::span<iovec> parts, std::uint64_t offset,
                               TransferOp op) {
    const bool is_read = op == TransferOp::Read;
    Retries retries;
    for (parts = advance_iovecs(parts, 0); !parts.empty();) {
        const ssize_t moved =
            transfer(parts.first(std::min<std::size_t>(parts.size(), IOV_MAX)), offset);
        if (moved < 0 && retries.again(static_cast<int>(-moved)))
            continue;
        if (moved < 0)
            return make_sys_error(is_read ? "read file" : "write file", static_cast<int>(-moved));
        if (moved == 0)
            return is_read ? make_end_of_file_error(offset, total_bytes(parts))
                           : make_zero_write_error(offset);
        retries.moved_on();
        parts = advance_iovecs(parts, static_cast<std::uint64_t>(moved));
        offset += static_cast<std::uint64_t>(moved);
    }
    return {};
}

} // namespace

std::span<iovec> advance_iovecs(std::span<iovec> parts, std::uint64_t bytes) {
    while (!parts.empty() && bytes >= parts.front().iov_len) {
        bytes -= parts.front().iov_len;
        parts = parts.subspan(1);
    }
    if (bytes != 0) {
        iovec& front = parts.front();
        front.iov_base = static_cast<std::byte*>(front.iov_base) + bytes;
        front.iov_len -= bytes;
    }
    return parts;
}

void take_front(std::span<iovec>& parts, std::uint64_t bytes, std::vector<iovec>& front) {
    while (bytes != 0) {
        iovec part = parts.front();
        part.iov_len = std::min<std::uint64_t>(part.iov_len, bytes);
        front.push_back(part);
        bytes -= part.iov_len;
        parts = advance_iovecs(parts, part.iov_len);
    }
}

std::uint64_t total_bytes(std::span<const iovec> parts) {
    std::uint64_t total = 0;
    for (const iovec& part : parts)
        total += part.iov_len;
    return total;
}

Error make_zero_write_error(std::uint64_t offset) {
    return Error{Errc::Io,
                 "write file: nothing was written at offset " + std::to_string(offset) +
                     ", and no reason given",
                 EIO};
}

Error make_end_of_file_error(std::uint64_t offset, std::uint64_t missing_bytes) {
    return Error{Errc::Io, "read file: it ends at offset " + std::to_string(offset) + ", " +
                               std::to_string(missing_bytes) + " bytes short"};
}

Result<void> write_all_at(FdRef fd, std::span<const std::byte> data, std::uint64_t offset) {
    auto write = [fd](std::span<const std::byte> rest, std::uint64_t at) {
        return or_errno(::pwrite(fd.get(), rest.data(), rest.size(), static_cast<off_t>(at)));
    };
    return write_all_at(write, data, offset);
}

Result<void> read_all_at(FdRef fd, std::span<std::byte> data, std::uint64_t offset) {
    auto read = [fd](std::span<std::byte> rest, std::uint64_t at) {
        return or_errno(::pread(fd.get(), rest.data(), rest.size(), static_cast<off_t>(at)));
    };
    return read_all_at(read, data, offset);
}

Result<void> writev_all_at(FdRef fd, std::span<iovec> parts, std::uint64_t offset) {
    return transfer_parts_at(
        [fd](std::span<iovec> rest, std::uint64_t at) {
            return or_errno(::pwritev(fd.get(), rest.data(), static_cast<int>(rest.size()),
                                      static_cast<off_t>(at)));
        },
        parts, offset, TransferOp::Write);
}

Result<void> readv_all_at(FdRef fd, std::span<iovec> parts, std::uint64_t offset) {
    return transfer_parts_at(
        [fd](std::span<iovec> rest, std::uint64_t at) {
            return or_errno(::preadv(fd.get(), rest.data(), static_cast<int>(rest.size()),
                                     static_cast<off_t>(at)));
        },
        parts, offset, TransferOp::Read);
}

Result<std::size_t> read_up_to_at(FdRef fd, std::span<std::byte> data, std::uint64_t offset) {
    std::size_t done = 0;
    Retries retries;
    while (done < data.size()) {
        const ssize_t moved = or_errno(::pread(fd.get(), data.data() + done, data.size() - done,
                                               static_cast<off_t>(offset + done)));
        if (moved < 0 && retries.again(static_cast<int>(-moved)))
            continue;
        if (moved < 0)
            return make_sys_error("read file", static_cast<int>(-moved));
        if (moved == 0)
            break;
        retries.moved_on();
        done += static_cast<std::size_t>(moved);
    }
    return done;
}

int punch_hole(FdRef fd, std::uint64_t offset, std::uint64_t bytes) {
    while (::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

} // namespace mfd
