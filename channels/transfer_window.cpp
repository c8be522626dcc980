#include "channels/transfer_window.hpp"

#include "channels/hex.hpp"
#include "proto/checked.hpp"

#include <cerrno>
#include <utility>

namespace mfd {

TransferWindow::TransferWindow(std::unique_ptr<IoEngine> engine, ChannelCounters& counters,
                               RateLimiter* limiter, Inspect inspect)
    : counters_(counters), limiter_(limiter), inspect_(std::move(inspect)),
      slots_(engine->depth() + 1), engine_(std::move(engine)) {
    for (std::size_t slot = slots_.size(); slot > 1; --slot)
        free_.push_back(slot - 1);
}

Result<void> TransferWindow::start(TransferOp op, unsigned file, std::uint64_t offset,
                                   const TransferBlock& block, const std::stop_token& stop) {
    Slot& slot = slots_[next_];
    slot.op = op;
    slot.file = file;
    slot.offset = offset;
    slot.bytes = total_bytes(slot.parts);
    slot.moved_bytes = 0;
    slot.block = block;
    const bool may_go =
        limiter_ != nullptr ? limiter_->acquire(slot.bytes, stop) : !stop.stop_requested();
    if (!may_go)
        return Error{Errc::Cancelled, "stopped on request"};
    slot.started = Clock::now();
    if (engine_->in_flight() == engine_->depth()) {
        reap_one();
        const auto now = Clock::now();
        const auto waited =
            std::chrono::duration_cast<std::chrono::microseconds>(now - slot.started);
        bump(counters_.queue_wait_us, static_cast<std::uint64_t>(waited.count()));
        slot.started = now;
    }
    if (failure_)
        return *failure_;
    slot.rest = slot.parts;
    engine_->start(Transfer{op, file, offset, slot.rest, next_});
    if (engine_->depth() == 1) { // nothing to overlap with; a latency measured later would be wrong
        reap_one();
        if (failure_)
            return *failure_;
    }
    next_ = free_.back(); // never empty: slots are one more than can be in flight
    free_.pop_back();
    slots_[next_].parts.clear();
    return {};
}

void TransferWindow::reap_one() {
    for (;;) {
        auto reaped = engine_->reap();
        if (!reaped) {
            // The engine is broken and what it has in flight cannot be waited for here.
            engine_broken_ = true;
            if (!failure_)
                failure_ = std::move(reaped).error();
            return;
        }
        const Slot& slot = slots_[reaped->tag];
        // A file system may refuse single direct transfers, or end one where it cannot go on.
        if (reaped->sys == EINVAL && slot.file == kDirectFile && !failure_) {
            go_on_buffered(reaped->tag, *reaped);
            continue;
        }
        finish(slot, *reaped);
        free_.push_back(reaped->tag);
        return;
    }
}

void TransferWindow::go_on_buffered(std::size_t index, const Completion& done) {
    Slot& slot = slots_[index];
    bump(counters_.direct_refusals, 1);
    bump(counters_.bytes, done.bytes);
    slot.file = kBufferedFile;
    slot.moved_bytes = done.bytes;
    slot.rest = slot.parts;
    engine_->start(Transfer{slot.op, slot.file, slot.offset + done.bytes,
                            advance_iovecs(slot.rest, done.bytes), index});
}

void TransferWindow::finish(const Slot& slot, const Completion& done) {
    counters_.latency.add(Clock::now() - slot.started);
    bump(counters_.transfers, 1);
    bump(counters_.bytes, done.bytes);
    if (failure_)
        return;
    if (done.sys != 0)
        failure_ = describe(slot, done);
    else if (inspect_)
        if (auto sound = inspect_(slot.block, slot.offset, slot.bytes); !sound.has_value())
            failure_ = std::move(sound).error();
}

Error TransferWindow::describe(const Slot& slot, const Completion& done) const {
    const bool write = slot.op == TransferOp::Write;
    const std::uint64_t offset = slot.offset + slot.moved_bytes + done.bytes;
    std::string what = write ? "write pages of block " : "read pages of block ";
    what += *slot.block.name;
    if (!write)
        what += ", page " + std::to_string((offset - slot.block.pages_offset) / kPageSize) + ",";
    what += (write ? " at file offset 0x" : " from file offset 0x") + hex_text(offset);
    what += ": " + completion_text(done.sys);
    return Error{Errc::Io, std::move(what), done.sys == kEndOfFile ? 0 : done.sys};
}

Result<void> TransferWindow::drain() {
    while (engine_->in_flight() > 0 && !engine_broken_)
        reap_one();
    slots_[next_].parts.clear();
    if (!failure_)
        return {};
    Error first = *failure_; // stays with a broken engine: every later call says it again
    if (!engine_broken_)
        failure_.reset();
    return first;
}

} // namespace mfd
