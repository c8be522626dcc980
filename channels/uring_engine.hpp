// Transfers through io_uring: several in flight from one thread. Single issuer and deferred task
// work where the kernel has them, so completions cost no interrupts of the scanning thread.
// Everything, also destruction, on the thread that made it.
#pragma once

#include "channels/io_engine.hpp"

#include <memory>
#include <optional>

#include <liburing.h>

namespace mfd {

class UringEngine final : public IoEngine {
public:
    static Result<std::unique_ptr<UringEngine>> make(const EngineSetup& setup);
    ~UringEngine() override;

    [[nodiscard]] std::size_t depth() const override { return slots_.size(); }
    [[nodiscard]] std::size_t in_flight() const override { return slots_.size() - free_.size(); }
    void start(const Transfer& transfer) override;
    Result<Completion> reap() override;

    // Names of the setup flags the kernel took, for the log.
    [[nodiscard]] const std::string& features() const { return features_; }

private:
    enum class Punt : std::uint8_t { No, Yes }; // to a kernel thread, which may block

    struct Slot {
        Transfer transfer; // what is still to do
        std::uint64_t total_bytes = 0;
        std::uint64_t done_bytes = 0;
        Retries retries;
    };

    explicit UringEngine(std::size_t depth);
    Result<void> set_up(const EngineSetup& setup);
    void queue(std::size_t slot, Punt punt);
    // The completion, or nothing if the transfer goes on.
    std::optional<Completion> take(const io_uring_cqe& cqe);

    io_uring ring_{};
    bool ring_made_ = false;
    std::string features_;
    std::vector<Slot> slots_;
    std::vector<std::size_t> free_;
};

} // namespace mfd
