// What a saved file has for each page of a block, run by run.
#pragma once

#include "proto/page_bitmap.hpp"
#include "qmp/files/saved_file.hpp"

#include <cstdint>
#include <functional>
#include <optional>

namespace mfd::files {

enum class PageState : std::uint8_t {
    Stored, // the bit is set: the slot holds the page
    Zero,   // the bit is clear, and the slot is a hole or zeros
    Stale,  // the bit is clear, but the slot holds data: what the page was earlier in a live save,
            // or all there is in a file whose save did not get to its bitmaps. A zero page all
            // the same.
};

const char* page_state_name(PageState state); // "stored", "zero", "stale"

struct StateRun {
    PageState state = PageState::Zero;
    PageRun pages;
    bool operator==(const StateRun&) const = default;
};

// Was the block's bitmap read? Not that of a damaged file where its entry is the last thing that
// was.
[[nodiscard]] inline bool has_bitmap(const DecodedBlock& block) {
    return block.bitmap.pages() == block.layout.pages();
}

// Calls `visit` for the runs of [within.first, within.end()) in ascending order, each as long as it
// can be; an error of `visit` ends the walk. Reads the slots with clear bits that are no holes, but
// no stored page. Of a file that ends early what is behind its end is a hole. The whole block
// without `within`. Nothing is visited where has_bitmap() is false: nothing is known then.
Result<void> for_each_run(const SavedFile& saved, const DecodedBlock& block,
                          const std::function<Result<void>(const StateRun&)>& visit,
                          std::optional<PageRun> within = std::nullopt);

struct PageCounts {
    std::uint64_t stored = 0;
    std::uint64_t zero = 0;
    std::uint64_t stale = 0;
    [[nodiscard]] std::uint64_t total() const { return stored + zero + stale; }
    void add(const StateRun& run);
    PageCounts& operator+=(const PageCounts& other);
    bool operator==(const PageCounts&) const = default;
};

Result<PageCounts> count_pages(const SavedFile& saved, const DecodedBlock& block);

} // namespace mfd::files
