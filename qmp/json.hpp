// The JSON value everything in qmp/ passes around. Reading and writing are our own
// (json_framer.hpp, json_writer.hpp), because QEMU's texts, limits and number rules are part of the
// protocol.
#pragma once

#include <nlohmann/json.hpp>

namespace mfd::qmp {

using Json = nlohmann::json;

} // namespace mfd::qmp
