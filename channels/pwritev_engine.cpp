#include "channels/pwritev_engine.hpp"

#include "channels/file_io.hpp"
#include "channels/page_cache_writer.hpp"

#include <utility>

namespace mfd {

Result<void> PwritevEngine::move(const Transfer& transfer) {
    const FdRef fd = files_[transfer.file];
    if (transfer.op == TransferOp::Read)
        return readv_all_at(fd, transfer.parts, transfer.offset);
    if (transfer.file == kBufferedFile && page_cache_ != nullptr)
        return page_cache_->write(fd, transfer.parts, transfer.offset);
    return writev_all_at(fd, transfer.parts, transfer.offset);
}

void PwritevEngine::start(const Transfer& transfer) {
    const std::uint64_t bytes = total_bytes(transfer.parts);
    const auto result = move(transfer);
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
