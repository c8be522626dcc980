#include "qmp/files/verification.hpp"

#include "qmp/files/page_buffer.hpp"
#include "qmp/files/page_reader.hpp"

#include <algorithm>

namespace mfd::files {

namespace {

constexpr std::uint64_t kReadPages = 1024; // chosen: 4 MiB a read

// The whole START section was read, but no END.
bool ends_early(const DecodedStream& stream) {
    const auto has = [&](SectionType type) {
        return std::ranges::any_of(stream.sections, [type](const SectionInfo& section) {
            return section.type == type && section.end.value != 0;
        });
    };
    return has(SectionType::Start) && !has(SectionType::End);
}

// Pages of the run whose slots are holes.
std::uint64_t count_holes(const SavedFile& saved, const DecodedBlock& block, PageRun run) {
    const FileOffset from = block.layout.slot(PageIndex(run.first));
    const FileOffset to = block.layout.slot(PageIndex(run.end()));
    std::uint64_t holes = 0;
    FileOffset at = from;
    while (at < to) {
        const auto data = saved.file().next_data(at, to);
        const FileOffset hole_end = data ? data->from : to;
        holes += (hole_end.value - at.value) / kPageSize;
        at = data ? data->to : to;
    }
    return holes;
}

Result<void> read_block(const SavedFile& saved, const DecodedBlock& block, Depth depth,
                        Verification& out) {
    PageReader reader(saved, block);
    const PageBuffer buffer(kReadPages);
    std::uint64_t at = 0;
    while (const auto run = block.bitmap.next_set_run(at, block.layout.pages())) {
        const PageRun part{run->first, std::min(run->count, kReadPages)};
        MFD_CHECK(reader.read(PageIndex(part.first), buffer.first(part.count)));
        out.pages_read += part.count;
        if (depth == Depth::AllPages)
            out.stored_holes += count_holes(saved, block, part);
        at = part.end();
    }
    return {};
}

Result<void> read_blocks(const SavedFile& saved, Depth depth, Verification& out) {
    for (const DecodedBlock& block : saved.blocks()) {
        if (saved.trailer() || depth == Depth::AllPages)
            MFD_CHECK(read_block(saved, block, depth, out));
        MFD_TRY(const PageCounts counts, count_pages(saved, block));
        out.pages += counts;
    }
    return {};
}

} // namespace

const char* verdict_name(Verdict verdict) {
    switch (verdict) {
    case Verdict::Intact:
        return "intact";
    case Verdict::NoChecksums:
        return "no-checksums";
    case Verdict::Damaged:
        return "damaged";
    }
    return "";
}

Result<Verification> verify_file(const std::string& path, const VerifyOptions& options) {
    MFD_TRY(const auto saved, SavedFile::open(path, {options.offset, Damaged::Show}));
    Verification out;
    out.problem = saved.problem();
    out.ended_early = out.problem && ends_early(saved.stream());
    if (!out.problem) {
        auto read = read_blocks(saved, options.depth, out);
        if (!read && read.error().code == Errc::BadFormat)
            out.problem = std::move(read).error();
        else if (!read)
            return with_context(path, std::move(read).error());
    }
    // A trailer of a version to come, or a stream in a form that is not handled: no verdict.
    if (out.problem && out.problem->code != Errc::BadFormat)
        return with_context(path, *std::move(out.problem));
    if (!out.problem)
        out.verdict = saved.trailer() ? Verdict::Intact : Verdict::NoChecksums;
    return out;
}

} // namespace mfd::files
