// The little that is known about device sections: "globalstate", which carries the run state as
// text, and how long the bodies of a few devices are. Everything else stays bytes.
#pragma once

#include "proto/encode.hpp"
#include "proto/error.hpp"
#include "proto/plan.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

// A FULL section "globalstate" as QEMU writes it. `run_state` is one of QEMU's ("running",
// "paused", "prelaunch", ...), 1 to 31 bytes.
Result<DeviceSection> make_globalstate(std::uint32_t section_id, std::string_view run_state);

// The run state that a stream's devices name; nothing without a (sound) globalstate.
std::optional<std::string> run_state_of(std::span<const DeviceSection> devices);

// Puts another run state into the globalstate among `devices`, leaving the rest of it as it is.
// Refused without a sound globalstate.
Result<void> replace_run_state(std::span<DeviceSection> devices, std::string_view run_state);

// The vmdescription for a stream whose only device is the globalstate that make_globalstate made.
std::string make_vmdescription(const Configuration& configuration);

// The vmdescription of the same devices in a stream of another configuration. One whose
// configuration is not described as QEMU does stays as it is: no reader of streams looks at that
// part.
std::string with_configuration(std::string_view vmdescription, const Configuration& from,
                               const Configuration& to);

// Bytes of a device's body where they are fixed for this version; nothing for other devices.
std::optional<std::uint64_t> fixed_body_bytes(std::string_view idstr, std::uint32_t version_id);

} // namespace mfd
