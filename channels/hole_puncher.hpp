// Gives back the file's blocks of slots that are no longer in use, when nothing writes to them: it
// collects the runs meanwhile. The file's length stays. Belongs to one worker thread; once the file
// system has refused, all workers of a job leave it at that.
#pragma once

#include "channels/unique_fd.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace mfd {

// Frees the blocks of [offset, offset + bytes), which reads as zero from then on. 0 or an errno.
[[nodiscard]] int punch_hole(FdRef file, std::uint64_t offset, std::uint64_t bytes);

class HolePuncher {
public:
    // What punch_hole() does, or a test's stand-in; empty: blocks are kept.
    using Punch = std::function<int(FdRef file, std::uint64_t offset, std::uint64_t bytes)>;

    // `refusal` becomes the errno of the first punch that failed; it outlives this.
    HolePuncher(FdRef file, const Punch& punch, std::atomic<int>& refusal)
        : file_(file), punch_(punch), refusal_(refusal) {}

    [[nodiscard]] bool enabled() const {
        return punch_ != nullptr && refusal_.load(std::memory_order_relaxed) == 0;
    }
    // Neighbours that come one after the other become one run.
    void add(std::uint64_t offset, std::uint64_t bytes);
    // So many runs have been collected that they should be punched soon.
    [[nodiscard]] bool full() const { return runs_.size() >= kMaxRuns; }
    // Punches what was added. No write into these runs may be in flight.
    void punch_all();
    void forget() { runs_.clear(); }

private:
    static constexpr std::size_t kMaxRuns = 16384; // 256 KiB

    struct Run {
        std::uint64_t offset;
        std::uint64_t bytes;
    };
    FdRef file_;
    const Punch& punch_;
    std::atomic<int>& refusal_;
    std::vector<Run> runs_;
};

} // namespace mfd
