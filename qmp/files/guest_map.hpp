// Where in the guest's physical memory the blocks of a file lie. The file does not say: it is known
// of the usual machines, told by the caller, or a place where nothing else is. Pure.
//
// pc and q35: the guest's RAM begins at 0; of 3.5 GiB and more (q35: 2.75 GiB) only the first 3 GiB
// (2 GiB) lie there, the rest from 4 GiB on. pc.bios and the flash chips end at 4 GiB. All other
// machines: RAM from 0 on, in one piece. What has no known place follows from 1 TiB on, or from the
// next multiple of 1 GiB behind what lies above that.
#pragma once

#include "proto/decode.hpp"
#include "proto/page_bitmap.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mfd::files {

struct GuestRange {
    std::size_t block = 0; // index
    PageRun pages;         // of the block
    std::uint64_t address = 0;
    bool known = true; // false: a place of our own
    bool operator==(const GuestRange&) const = default;
};

struct GuestMapOptions {
    // The blocks that are the guest's RAM, in their order. Empty: the only one that can be, unless
    // `at` has one at address 0.
    std::vector<std::string> ram;
    // Blocks at these addresses, in one piece.
    std::vector<std::pair<std::string, std::uint64_t>> at;
};

// In ascending order of address. Errors: a name that is not in the file, ranges that overlap, or
// several blocks that may each be the guest's RAM.
Result<std::vector<GuestRange>> guest_map(std::string_view machine,
                                          std::span<const DecodedBlock> blocks,
                                          const GuestMapOptions& options);

} // namespace mfd::files
