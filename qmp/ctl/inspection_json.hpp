// What a saved file holds, as `multifdctl inspect --json` prints it. Pure.
//
// FILES.md lists the members; tests hold them against it.
#pragma once

#include "qmp/files/block_survey.hpp"
#include "qmp/files/saved_file.hpp"
#include "qmp/json.hpp"

#include <span>

namespace mfd::ctl {

// `surveys` are of the blocks, in their order.
qmp::Json inspection_json(const files::SavedFile& saved,
                          std::span<const files::BlockSurvey> surveys, bool with_runs);

} // namespace mfd::ctl
