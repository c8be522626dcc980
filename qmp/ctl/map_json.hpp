// What `multifdctl map --json` prints. FILES.md lists the members; tests hold them against it.
#pragma once

#include "qmp/ctl/map_picture.hpp"
#include "qmp/json.hpp"

namespace mfd::ctl {

// Walks the pages.
Result<qmp::Json> map_json(const MapSubject& subject);

} // namespace mfd::ctl
