// An engine that writes nothing: it records what it is given and answers from a script.
#pragma once

#include "channels/io_engine.hpp"

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace mfd::test {

struct Recorded {
    TransferOp op = TransferOp::Write;
    unsigned file = 0;
    std::uint64_t offset = 0;
    std::vector<iovec> parts;
    [[nodiscard]] std::uint64_t bytes() const { return total_bytes(parts); }
};

// How a transfer ends. An errno alone, 0 for success, is the usual one.
struct Ending {
    int sys = 0;
    std::uint64_t moved_bytes = 0; // before a failure
    Ending(int errno_or_0, std::uint64_t moved = 0) : sys(errno_or_0), moved_bytes(moved) {}
};

class ScriptedEngine final : public IoEngine {
public:
    // Called when the transfer is reaped, oldest first.
    using Answer = std::function<Ending(const Recorded&)>;

    ScriptedEngine(std::size_t depth, Answer answer, std::vector<Recorded>* record,
                   std::atomic<int>* alive = nullptr)
        : depth_(depth), answer_(std::move(answer)), record_(record), alive_(alive) {
        if (alive_ != nullptr)
            ++*alive_;
    }
    ~ScriptedEngine() override {
        if (alive_ != nullptr)
            --*alive_;
    }

    [[nodiscard]] std::size_t depth() const override { return depth_; }
    [[nodiscard]] std::size_t in_flight() const override { return queue_.size(); }
    void start(const Transfer& transfer) override {
        Recorded seen{transfer.op,
                      transfer.file,
                      transfer.offset,
                      {transfer.parts.begin(), transfer.parts.end()}};
        if (record_ != nullptr)
            record_->push_back(seen);
        queue_.push_back({transfer.tag, std::move(seen)});
    }
    Result<Completion> reap() override {
        const auto [tag, seen] = std::move(queue_.front());
        queue_.pop_front();
        const Ending end = answer_(seen);
        return Completion{tag, end.sys == 0 ? seen.bytes() : end.moved_bytes, end.sys};
    }

private:
    struct Queued {
        std::uint64_t tag;
        Recorded seen;
    };
    std::size_t depth_;
    Answer answer_;
    std::vector<Recorded>* record_;
    std::atomic<int>* alive_;
    std::deque<Queued> queue_;
};

} // namespace mfd::test
