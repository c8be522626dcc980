#include "qmp/files/block_survey.hpp"

#include "channels/zero_page.hpp"
#include "qmp/files/page_buffer.hpp"

#include <algorithm>

namespace mfd::files {

namespace {

constexpr std::uint64_t kSurveyPages = 256; // chosen: 1 MiB a read

Result<std::uint64_t> count_stored_zero(const SavedFile& saved, const DecodedBlock& block) {
    const PageBuffer buffer(kSurveyPages);
    std::uint64_t found = 0;
    std::uint64_t at = 0;
    while (const auto run = block.bitmap.next_set_run(at, block.layout.pages())) {
        const std::uint64_t count = std::min(run->count, kSurveyPages);
        MFD_CHECK(saved.read_slots(block, PageIndex(run->first), buffer.first(count)));
        for (std::uint64_t page = 0; page < count; ++page)
            found += is_zero_page(buffer.page(page)) ? 1 : 0;
        at = run->first + count;
    }
    return found;
}

// At most the alignment of page areas, in a sound file; of another one no more than that is read.
Result<bool> is_padding_zero(const SavedFile& saved, const DecodedBlock& block) {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 20;
    const FileOffset from = block.layout.bitmap_offset + block.layout.bitmap_size();
    const FileOffset to = std::min(
        {block.layout.pages_offset, from + kMost, std::max(from, FileOffset(saved.file().size()))});
    if (from >= to)
        return true;
    std::vector<std::byte> bytes(to.value - from.value);
    MFD_CHECK(saved.file().read(from, bytes));
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

} // namespace

Result<BlockSurvey> survey_block(const SavedFile& saved, const DecodedBlock& block,
                                 SurveyOptions options) {
    BlockSurvey survey;
    if (!has_bitmap(block))
        return survey;
    MFD_CHECK(for_each_run(saved, block, [&](const StateRun& run) -> Result<void> {
        survey.pages.add(run);
        if (options.runs)
            survey.runs.push_back(run);
        return {};
    }));
    MFD_TRY(survey.padding_zero, is_padding_zero(saved, block));
    if (options.stored_zero) {
        MFD_TRY(const std::uint64_t found, count_stored_zero(saved, block));
        survey.stored_zero = found;
    }
    return survey;
}

} // namespace mfd::files
