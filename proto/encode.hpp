// Everything of a stream but bitmaps and pages, as bytes with the place they go to. The order of
// writing is the caller's: head, early devices, PARTs as it goes, pages at any time, bitmaps, and
// the tail last of all, since the tail is what makes the file a complete one.
#pragma once

#include "proto/checked.hpp"
#include "proto/error.hpp"
#include "proto/plan.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

// Bytes and where in the file they go.
struct Fragment {
    FileOffset at;
    std::vector<std::byte> bytes;
    [[nodiscard]] FileOffset end() const { return at + bytes.size(); }
};

// A FULL section: the state of one device, whose meaning is not known here.
struct DeviceSection {
    std::uint32_t section_id = 0;
    std::string idstr;
    std::uint32_t instance_id = 0;
    std::uint32_t version_id = 0;
    std::vector<std::byte> body;
    bool operator==(const DeviceSection&) const = default;
};

// What closes a stream.
struct Tail {
    bool switchover_start = true; // see machine_sends_switchover_start()
    std::vector<DeviceSection> devices;
    std::string vmdescription; // JSON; empty: no such section
};

// Header, configuration, and the START section with every block's entry and mapped-ram header, EOS
// and footer. One fragment up to the first page area, one behind each area; the last one ends at
// plan.head_end.
std::vector<Fragment> encode_head(const StreamPlan& plan);

// The same of an ordinary stream, whose blocks are names and lengths alone: one piece, wherever it
// stands. The names and lengths must fit (plan_stream checks).
std::vector<std::byte> encode_sequential_head(const Configuration& configuration,
                                              std::span<const BlockSpec> blocks);

// FULL sections that stand between START and END ("...-early").
Result<Fragment> encode_devices(FileOffset at, std::span<const DeviceSection> devices);

// A PART section. It carries nothing (wire::kPartBytes bytes).
Fragment encode_part(FileOffset at);

// Bytes of the section that encode_tail() writes for this text.
std::uint64_t vmdescription_bytes(std::string_view text);

// COMMAND if wanted, END, devices, end mark, vmdescription.
Result<Fragment> encode_tail(FileOffset at, const Tail& tail);

} // namespace mfd
