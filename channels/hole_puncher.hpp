// Gives back the file's blocks of slots that are no longer in use, when nothing writes to them: it
// collects the runs meanwhile. The file's length stays.
//
// A hole costs a file system more than writing the page (measured on ext4 with -o discard, on a
// busy machine: 1 to 2 ms, single ones up to 50 ms). So the longest runs come first, and only until
// they took their share of the pass's time; the other slots keep their blocks. Belongs to one
// worker thread; once the file system has refused, all workers of a job leave it at that.
#pragma once

#include "channels/file_io.hpp"
#include "channels/unique_fd.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace mfd {

class HolePuncher {
public:
    // What punch_hole() does, or a test's stand-in; empty: blocks are kept.
    using Punch = std::function<int(FdRef file, std::uint64_t offset, std::uint64_t bytes)>;

    // `refusal` becomes the errno of the first punch that failed; it and `punch` outlive this.
    // `percent`: the share of a pass's time; one run may always be punched.
    HolePuncher(FdRef file, const Punch& punch, unsigned percent, std::atomic<int>& refusal)
        : file_(file), punch_(punch), percent_(percent), refusal_(refusal) {}

    void begin_pass();

    [[nodiscard]] bool enabled() const {
        return punch_ != nullptr && refusal_.load(std::memory_order_relaxed) == 0;
    }
    // Neighbours that come one after the other become one run.
    void add(std::uint64_t offset, std::uint64_t bytes);
    // So many runs have been collected that they should be punched soon.
    [[nodiscard]] bool full() const { return runs_.size() >= kMaxRuns; }
    // Punches what was added and what there is time for. No write into these runs may be in flight.
    void punch_collected();

private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::size_t kMaxRuns = 16384; // 256 KiB

    struct Run {
        std::uint64_t offset;
        std::uint64_t bytes;
    };
    FdRef file_;
    const Punch& punch_;
    const unsigned percent_;
    std::atomic<int>& refusal_;
    Clock::time_point pass_began_;
    Clock::duration spent_{0}; // in this pass
    std::vector<Run> runs_;
};

} // namespace mfd
