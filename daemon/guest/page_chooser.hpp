// Which page an emulated guest's thread writes next. Seeded, so that a run can be repeated. One
// thread.
#pragma once

#include "daemon/guest/workload.hpp"
#include "proto/page_bitmap.hpp"

#include <cstdint>

namespace mfd {

struct PageWrite {
    std::uint64_t page = 0;
    bool zero = false;
};

class PageChooser {
public:
    // `slice` is not empty; every chosen page lies in it.
    PageChooser(WorkloadPattern pattern, PageRun slice, std::uint64_t seed)
        : pattern_(pattern), slice_(slice), state_(seed) {}

    PageWrite next();

private:
    PageWrite choose(WorkloadPattern pattern);
    std::uint64_t random();
    std::uint64_t random_below(std::uint64_t bound) { return random() % bound; }

    WorkloadPattern pattern_;
    PageRun slice_;
    std::uint64_t state_;
    std::uint64_t position_ = 0;
    std::uint64_t turn_ = 0;
};

} // namespace mfd
