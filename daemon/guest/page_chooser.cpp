#include "daemon/guest/page_chooser.hpp"

#include <algorithm>
#include <array>

namespace mfd {

std::uint64_t PageChooser::random() {
    // splitmix64: one addition and one mix, and any seed is good, 0 too.
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

PageWrite PageChooser::next() {
    if (pattern_ != WorkloadPattern::Mix)
        return choose(pattern_);
    constexpr std::array turns{WorkloadPattern::Sequential, WorkloadPattern::Random,
                               WorkloadPattern::HotCold, WorkloadPattern::Zeroing};
    return choose(turns.at(turn_++ % turns.size()));
}

PageWrite PageChooser::choose(WorkloadPattern pattern) {
    switch (pattern) {
    case WorkloadPattern::Sequential:
        return {slice_.first + position_++ % slice_.count};
    case WorkloadPattern::Random:
    case WorkloadPattern::Mix: // next() has taken it apart
        return {slice_.first + random_below(slice_.count)};
    case WorkloadPattern::HotCold: {
        const std::uint64_t hot = std::max<std::uint64_t>(slice_.count / 10, 1);
        const bool cold = random_below(10) == 0 && hot < slice_.count;
        return {slice_.first + (cold ? hot + random_below(slice_.count - hot) : random_below(hot))};
    }
    case WorkloadPattern::Zeroing:
        return {slice_.first + random_below(slice_.count), random_below(2) == 0};
    }
    return {slice_.first};
}

} // namespace mfd
