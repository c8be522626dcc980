// A JSON value in a sealed memfd: once made, nobody can change it, so a process that finds it knows
// that it is whole.
//
//   bytes   content (little-endian)
//   0       magic, "MFDSTATE"
//   8       version of the layout and of what the value means, 32 bits
//   12      CRC-32 of the value's bytes
//   16      number of the value's bytes, 64 bits; nothing follows them
//   24      the value as CBOR
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace mfd {

inline constexpr std::uint32_t kStateVersion = 1;

// `name` is what /proc shows.
Result<UniqueFd> make_sealed_state(const std::string& name, const nlohmann::json& value);

// Refuses what is not sealed, of another version, or damaged.
Result<nlohmann::json> read_sealed_state(FdRef fd);

} // namespace mfd
