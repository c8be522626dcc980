#include "channels/pwritev_engine.hpp"

#include "channels/file_io.hpp"

#include <utility>

namespace mfd {

void PwritevEngine::start(const Transfer& transfer) {
    const FdRef fd = files_[transfer.file];
    const std::uint64_t bytes = total_bytes(transfer.parts);
    const auto result = transfer.op == TransferOp::Write
                            ? writev_all_at(fd, transfer.parts, transfer.offset)
                            : readv_all_at(fd, transfer.parts, transfer.offset);
    Completion done{transfer.tag, bytes, 0};
    if (!result) {
        done.bytes = 0;
        done.sys = result.error().sys != 0 ? result.error().sys : kEndOfFile;
    }
    done_ = done;
}

Result<Completion> PwritevEngine::reap() {
    return *std::exchange(done_, std::nullopt);
}

} // namespace mfd
