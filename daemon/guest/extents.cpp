#include "daemon/guest/extents.hpp"

#include <algorithm>

namespace mfd {

void append_extent(std::vector<ByteExtent>& list, std::uint64_t begin, std::uint64_t end,
                   std::uint64_t unit, ByteExtent within) {
    begin = std::max(begin - begin % unit, within.offset);
    const std::uint64_t rest = end % unit;
    // `within` ends in a multiple of the page, so rounding up cannot wrap before the cut.
    end = std::min(rest == 0 || end > within.end() ? end : end + (unit - rest), within.end());
    if (begin >= end)
        return;
    if (!list.empty() && begin <= list.back().end())
        list.back().length = std::max(list.back().end(), end) - list.back().offset;
    else
        list.push_back({begin, end - begin});
}

std::vector<ByteExtent> merge_extents(const std::vector<ByteExtent>& a,
                                      const std::vector<ByteExtent>& b) {
    std::vector<ByteExtent> all;
    all.reserve(a.size() + b.size());
    std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all),
               [](const ByteExtent& x, const ByteExtent& y) { return x.offset < y.offset; });
    std::vector<ByteExtent> joined;
    for (const ByteExtent& extent : all) {
        if (!joined.empty() && extent.offset <= joined.back().end())
            joined.back().length =
                std::max(joined.back().end(), extent.end()) - joined.back().offset;
        else
            joined.push_back(extent);
    }
    return joined;
}

} // namespace mfd
