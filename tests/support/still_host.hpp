// The other side of a job where a test runs it in its own process.
#pragma once

#include "daemon/job.hpp"

#include <memory>
#include <stop_token>
#include <utility>
#include <vector>

namespace mfd::testing {

// Of a guest that stands still. Nobody is told anything.
class QuietHost : public JobHost {
public:
    void opened() override {}
    void active() override {}
    void pass_started(std::uint64_t /*pass*/) override {}
    void throttle(std::uint32_t /*percent*/) override {}
    void stop_needed() override {}
    Result<RunStatus> switchover(const std::stop_token& /*stop*/) override {
        return RunStatus::Paused;
    }
    void leave_behind(std::shared_ptr<void> /*rest*/) override {}
};

// With these blocks.
class StillHost final : public QuietHost {
public:
    explicit StillHost(std::vector<MemoryBackend*> blocks) : blocks_(std::move(blocks)) {}
    Result<std::vector<MemoryBackend*>> guest_blocks(const std::vector<BlockSpec>& /*listed*/,
                                                     const std::stop_token& /*stop*/) override {
        return blocks_;
    }

private:
    std::vector<MemoryBackend*> blocks_;
};

} // namespace mfd::testing
