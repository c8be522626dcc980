// What a loaded file held besides RAM, as a JSON value. It may be large and never changes, so it
// has a descriptor of its own in the store.
#pragma once

#include "daemon/job.hpp"
#include "proto/error.hpp"

#include <nlohmann/json.hpp>

namespace mfd {

nlohmann::json encode_loaded_state(const LoadedState& state);
// Exactly what was encoded; refuses what encode_loaded_state() does not make.
Result<LoadedState> decode_loaded_state(const nlohmann::json& value);

} // namespace mfd
