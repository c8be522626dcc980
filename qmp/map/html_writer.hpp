// A picture of memory as one HTML file that needs no other: viewer.html with the runs of all blocks
// in it. Pure.
#pragma once

#include "qmp/files/guest_map.hpp"
#include "qmp/map/page_kind.hpp"
#include "qmp/map/picture.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mfd::map {

// viewer.html: "@DATA@" and "@TITLE@" in it are replaced.
extern const char kViewer[];

// Runs as bytes: for each count << 2 | kind, seven bits a byte, the lowest first, the highest bit
// set in all but the last.
class RunPacker {
public:
    // Refused (Unsupported) what no browser would open.
    Result<void> add(const KindRun& run);
    [[nodiscard]] std::string base64() const;

private:
    std::string bytes_;
};

struct HtmlBlock {
    std::string name; // fit to be shown
    std::uint64_t pages = 0;
    std::uint64_t slots = 0; // offset of page 0 in the file
    KindCounts counts;
    RunPacker runs;
    std::vector<files::GuestRange> addresses; // as far as they are known
};

std::string write_html(const Facts& facts, std::span<const HtmlBlock> blocks);

} // namespace mfd::map
