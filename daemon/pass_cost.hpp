// How long a pass takes: its bytes at the device's bandwidth, and its transfers on top. A dense
// first pass tells the one, a pass over scattered pages the other; either alone would be wrong by
// ten times for the other kind. Learned from the passes done. Arithmetic alone; job thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace mfd {

class PassCost {
public:
    using Seconds = std::chrono::duration<double>;

    // A pass that moved `bytes` of pages by so many transfers.
    void learn(Seconds time, std::uint64_t bytes, std::uint64_t transfers) {
        if (bytes == 0 || transfers == 0 || (known() && transfers < kEnough))
            return;
        const double seconds = std::max(time.count(), 1e-6);
        const double per_byte = seconds / static_cast<double>(bytes);
        const double per_transfer = seconds / static_cast<double>(transfers);
        per_byte_ = known() ? std::min(per_byte_, per_byte) : per_byte;
        per_transfer_ = per_transfer_ != 0 ? std::min(per_transfer_, per_transfer) : per_transfer;
        // The best seen of each; if this pass took longer than they say, the device is slower now.
        slowdown_ = 1;
        slowdown_ = std::max(1.0, seconds / of(bytes, transfers).count());
    }
    [[nodiscard]] bool known() const { return per_byte_ != 0; }

    [[nodiscard]] Seconds of(std::uint64_t bytes, std::uint64_t transfers) const {
        return Seconds((per_byte_ * static_cast<double>(bytes) +
                        per_transfer_ * static_cast<double>(transfers)) *
                       slowdown_);
    }

private:
    // A few transfers take as long as the device's mood: chosen.
    static constexpr std::uint64_t kEnough = 16;

    double per_byte_ = 0; // seconds
    double per_transfer_ = 0;
    double slowdown_ = 1;
};

} // namespace mfd
