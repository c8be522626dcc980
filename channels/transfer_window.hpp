// The transfers one worker has in flight, and the one it is putting together meanwhile. Counts what
// completes and remembers the first failure; with a failure nothing new is started.
// Belongs to one worker thread.
#pragma once

#include "channels/counters.hpp"
#include "channels/io_engine.hpp"
#include "channels/rate_limiter.hpp"
#include "proto/error.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include <sys/uio.h>

namespace mfd {

// The block that a transfer's pages belong to, for error texts.
struct TransferBlock {
    const std::string* name = nullptr; // valid until the window's next drain
    std::uint64_t pages_offset = 0;    // of its page 0 in the file
    std::size_t index = 0;             // among the blocks of the job
};

class TransferWindow {
public:
    // Called for each transfer that has succeeded: `bytes` from file offset `offset` on, whose data
    // are still in the processor's cache if they were copied. Its error is the transfer's.
    using Inspect = std::function<Result<void>(const TransferBlock&, std::uint64_t offset,
                                               std::uint64_t bytes)>;

    // `limiter` may be null; it and `counters` outlive the window.
    TransferWindow(std::unique_ptr<IoEngine> engine, ChannelCounters& counters,
                   RateLimiter* limiter, Inspect inspect = {});
    // Waits for what is in flight: its memory belongs to the kernel until then.
    ~TransferWindow() = default;

    // The largest transfer that suits the rate now; may be less than a page.
    [[nodiscard]] std::uint64_t transfer_bytes() const {
        return limiter_ != nullptr ? limiter_->transfer_bytes() : RateLimiter::kUnlimited;
    }

    // An empty vector to put the parts of the next transfer in; its capacity is kept. The same one
    // until start() takes it.
    [[nodiscard]] std::vector<iovec>& next_parts() { return slots_[next_].parts; }

    // Starts the transfer of next_parts(), once the rate and the engine's depth allow.
    Result<void> start(TransferOp op, unsigned file, std::uint64_t offset,
                       const TransferBlock& block, const std::stop_token& stop);

    // Waits for everything in flight, then gives the first failure since the last drain.
    Result<void> drain();

private:
    using Clock = std::chrono::steady_clock;
    struct Slot {
        std::vector<iovec> parts;
        std::vector<iovec> rest; // the same, while it is the engine's to change
        TransferOp op = TransferOp::Write;
        unsigned file = kBufferedFile;
        std::uint64_t offset = 0;
        std::uint64_t bytes = 0;
        std::uint64_t moved_bytes = 0; // before it went on through the other descriptor
        TransferBlock block;
        Clock::time_point started;
    };
    // Waits until a transfer has ended.
    void reap_one();
    void finish(const Slot& slot, const Completion& done);
    // Starts what is left of a direct transfer through the buffered descriptor.
    void go_on_buffered(std::size_t index, const Completion& done);
    Error describe(const Slot& slot, const Completion& done) const;

    ChannelCounters& counters_;
    RateLimiter* limiter_;
    Inspect inspect_;
    std::vector<Slot> slots_; // one more than can be in flight
    std::vector<std::size_t> free_;
    std::size_t next_ = 0;
    std::optional<Error> failure_;
    bool engine_broken_ = false;
    std::unique_ptr<IoEngine> engine_; // last: ends its transfers before their parts are gone
};

} // namespace mfd
