// What a saved file holds, as `multifdctl inspect --json` prints it. Pure.
//
// Offsets and sizes are bytes of the file, from its start; numbers are exact. Members with nothing
// to say are left out, but for those that are counts. FILES.md beside lists them.
#pragma once

#include "qmp/files/block_survey.hpp"
#include "qmp/files/saved_file.hpp"
#include "qmp/json.hpp"

#include <span>

namespace mfd::ctl {

// `surveys` are of the blocks, in their order.
qmp::Json inspection_json(const files::SavedFile& saved,
                          std::span<const files::BlockSurvey> surveys, bool with_runs);

// The file itself, the stream's place and what is known of the whole: members of the above.
qmp::Json configuration_json(const DecodedStream& stream);
qmp::Json section_json(const SectionInfo& section, std::uint64_t total_ram);

} // namespace mfd::ctl
