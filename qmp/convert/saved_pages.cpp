#include "qmp/convert/saved_pages.hpp"

#include "qmp/files/page_buffer.hpp"
#include "qmp/files/page_reader.hpp"

#include <algorithm>

namespace mfd::convert {

namespace {

constexpr std::uint64_t kPiecePages = 1024;

} // namespace

Result<void> for_each_stored_run(const files::SavedFile& saved, Watcher& watcher,
                                 std::string_view step, const VisitPages& visit) {
    const files::PageBuffer buffer(kPiecePages);
    std::uint64_t before = 0; // bytes of the blocks that are done
    for (std::size_t i = 0; i < saved.blocks().size(); ++i) {
        const DecodedBlock& block = saved.blocks()[i];
        files::PageReader reader(saved, block);
        std::uint64_t at = 0;
        while (const auto run = block.bitmap.next_set_run(at, block.layout.pages())) {
            const PageRun piece{run->first, std::min(run->count, kPiecePages)};
            MFD_CHECK(
                watcher.progress(step, before + piece.first * kPageSize, saved.stream().total_ram));
            MFD_CHECK(reader.read(PageIndex(piece.first), buffer.first(piece.count)));
            MFD_CHECK(visit(i, piece, buffer.first(piece.count)));
            at = piece.end();
        }
        before += block.layout.used_length;
    }
    return watcher.progress(step, before, saved.stream().total_ram);
}

GuestHead head_of(const DecodedStream& stream) {
    GuestHead head{stream.configuration, {}};
    for (const DecodedBlock& block : stream.blocks)
        head.blocks.push_back({block.layout.idstr, block.layout.used_length});
    return head;
}

GuestTail tail_of(const DecodedStream& stream) {
    return {stream.early_devices, stream.switchover_start, stream.devices, stream.vmdescription};
}

Result<void> copy_pages(const files::SavedFile& saved, RamSink& sink, Watcher& watcher) {
    std::size_t block = 0;
    std::uint64_t at = 0; // in the block
    // The zero pages of `block` up to there, of all blocks before `next` up to their end.
    const auto catch_up = [&](std::size_t next, std::uint64_t to) -> Result<void> {
        for (; block < next; ++block, at = 0)
            if (const auto pages = saved.blocks()[block].layout.pages(); at < pages)
                MFD_CHECK(sink.zero_pages(block, {at, pages - at}));
        if (at < to)
            MFD_CHECK(sink.zero_pages(block, {at, to - at}));
        return {};
    };
    const auto hand_on = [&](std::size_t index, PageRun run,
                             std::span<const std::byte> bytes) -> Result<void> {
        MFD_CHECK(catch_up(index, run.first));
        at = run.end();
        return sink.pages(index, run, bytes);
    };
    MFD_CHECK(for_each_stored_run(saved, watcher, "convert", hand_on));
    return catch_up(saved.blocks().size(), 0);
}

} // namespace mfd::convert
