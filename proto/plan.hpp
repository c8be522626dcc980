// Where everything of a stream lies, before a byte of it is written. Computes only; every sum is
// checked, so that encoder and writers may add without asking again.
#pragma once

#include "proto/checked.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

// A RAM block as its owner knows it.
struct BlockSpec {
    std::string idstr;             // 1 to 255 bytes, none of them 0
    std::uint64_t used_length = 0; // bytes; a multiple of kPageSize, not 0
};

// The configuration section. `capabilities` are those that the stream records: of all that QEMU
// has, only x-ignore-shared and mapped-ram ever are, and mapped-ram must be.
struct Configuration {
    std::string machine = "none";
    std::vector<std::string> capabilities = {"mapped-ram"};
    std::optional<std::array<std::byte, 16>> uuid;
    std::optional<std::uint32_t> target_page_bits; // x86-64 writes none
    bool operator==(const Configuration&) const = default;
};

// Where one RAM block lies in the file.
struct BlockLayout {
    std::string idstr;
    std::uint64_t used_length = 0;
    FileOffset entry_offset;  // its name's length byte
    FileOffset header_offset; // its mapped-ram header
    FileOffset bitmap_offset;
    FileOffset pages_offset; // the slot of page 0

    [[nodiscard]] std::uint64_t pages() const { return used_length / kPageSize; }
    [[nodiscard]] std::uint64_t bitmap_size() const { return bitmap_bytes(pages()); }
    [[nodiscard]] FileOffset slots_end() const { return pages_offset + used_length; }
    [[nodiscard]] FileOffset slot(PageIndex page) const {
        return pages_offset + page.value * kPageSize;
    }
    bool operator==(const BlockLayout&) const = default;
};

struct StreamPlan {
    FileOffset stream_offset;
    Configuration configuration;
    FileOffset start_offset;         // the RAM section's first byte, just past the configuration
    std::vector<BlockLayout> blocks; // in the order of the file
    std::uint64_t total_ram = 0;     // sum of used_length
    FileOffset ram_end;              // past the last slot: the START section's EOS word
    FileOffset head_end;             // past the START section's footer: what comes next goes here
};

enum class BlockOrder : std::uint8_t {
    LargestFirst, // QEMU's: by length, equal ones as given
    AsGiven,      // of a loaded file that is saved again
};

// The stream's layout, as QEMU lays it out. No blocks at all is a stream without RAM, which is
// fine.
Result<StreamPlan> plan_stream(FileOffset stream_offset, Configuration configuration,
                               std::span<const BlockSpec> blocks,
                               BlockOrder order = BlockOrder::LargestFirst);

// Bytes of the configuration section, from its marker on. The fields must fit (plan_stream checks).
std::uint64_t configuration_bytes(const Configuration& configuration);

// Does QEMU announce the switchover (COMMAND 11) for this machine type? Types of version 10.0 and
// later do, and those without a version; "pc-i440fx-9.2" does not.
bool machine_sends_switchover_start(std::string_view machine);

} // namespace mfd
