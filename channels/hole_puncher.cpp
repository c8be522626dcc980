#include "channels/hole_puncher.hpp"

#include <algorithm>
#include <functional>

namespace mfd {

void HolePuncher::add(std::uint64_t offset, std::uint64_t bytes) {
    if (!runs_.empty() && runs_.back().offset + runs_.back().bytes == offset)
        runs_.back().bytes += bytes;
    else
        runs_.push_back({offset, bytes});
}

void HolePuncher::begin_pass() {
    pass_began_ = Clock::now();
    spent_ = {};
    runs_.clear();
}

void HolePuncher::punch_collected() {
    std::ranges::stable_sort(runs_, std::ranges::greater(), &Run::bytes);
    auto before = Clock::now();
    for (const Run& run : runs_) {
        if (!enabled() || spent_ * 100 > (before - pass_began_) * percent_)
            break;
        int none = 0;
        if (const int refused = punch_(file_, run.offset, run.bytes); refused != 0)
            refusal_.compare_exchange_strong(none, refused);
        const auto after = Clock::now();
        spent_ += after - before;
        before = after;
    }
    runs_.clear();
}

} // namespace mfd
