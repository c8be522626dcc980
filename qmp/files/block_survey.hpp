// What a block's part of a file holds, counted. Reads what has to be read for that.
#pragma once

#include "qmp/files/page_state.hpp"
#include "qmp/files/saved_file.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace mfd::files {

struct SurveyOptions {
    bool stored_zero = false; // reads all stored pages
    bool runs = false;        // keeps them all
};

struct BlockSurvey {
    PageCounts pages;
    bool padding_zero = true;                 // between bitmap and pages; nobody uses it
    std::optional<std::uint64_t> stored_zero; // pages that are stored though they are zero
    std::vector<StateRun> runs;
};

Result<BlockSurvey> survey_block(const SavedFile& saved, const DecodedBlock& block,
                                 SurveyOptions options = {});

} // namespace mfd::files
