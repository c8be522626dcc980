// A guest's memory on its way from one form of stream to another: whoever reads one hands it, page
// by page, to whoever writes the other.
#pragma once

#include "proto/encode.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"
#include "proto/plan.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace mfd {

// What is known before the first page.
struct GuestHead {
    Configuration configuration; // of the stream that is read
    std::vector<BlockSpec> blocks;
};

// What follows the last page.
struct GuestTail {
    std::vector<DeviceSection> early_devices;
    bool switchover_start = false;
    std::vector<DeviceSection> devices;
    std::string vmdescription; // empty: none
};

// Pages come in any order, and any number of times: what comes last counts. A page that never comes
// is zero. An error ends the reading.
class RamSink {
public:
    virtual ~RamSink() = default;
    virtual Result<void> begin(const GuestHead& head) = 0; // once, before all others
    // `bytes`: run.count pages, without any alignment.
    virtual Result<void> pages(std::size_t block, PageRun run,
                               std::span<const std::byte> bytes) = 0;
    virtual Result<void> zero_pages(std::size_t block, PageRun run) = 0;

protected:
    RamSink() = default;
    RamSink(const RamSink&) = default;
    RamSink& operator=(const RamSink&) = default;
};

} // namespace mfd
