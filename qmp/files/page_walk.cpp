#include "qmp/files/page_walk.hpp"

#include "channels/zero_page.hpp"
#include "qmp/files/page_buffer.hpp"
#include "qmp/files/page_reader.hpp"

#include <algorithm>

namespace mfd::files {

namespace {

constexpr std::uint64_t kWalkPages = 256;   // chosen: 1 MiB a read, which stays in a core's cache
constexpr std::uint64_t kWalkGapPages = 16; // what SavedFile::read_pages() reads past

// From a stored page to behind the last one that is read along with it.
std::uint64_t span_end(const PageBitmap& bitmap, std::uint64_t first, std::uint64_t end) {
    const std::uint64_t limit = std::min(end, first + kWalkPages);
    std::uint64_t stop = first;
    while (const auto run = bitmap.next_set_run(stop, limit)) {
        if (run->first - stop > kWalkGapPages)
            break;
        stop = run->end();
    }
    return stop;
}

Result<void> split(PageIndex first, std::span<const std::byte> pages, PageSink& sink) {
    const std::uint64_t count = pages.size() / kPageSize;
    for (std::uint64_t at = 0; at < count;) {
        const std::byte* const page = pages.data() + at * kPageSize;
        if (const std::uint64_t zero = count_zero_pages(page, count - at); zero != 0) {
            MFD_CHECK(sink.zeros({first.value + at, zero}));
            at += zero;
            continue;
        }
        const std::uint64_t data = count_data_pages(page, count - at);
        MFD_CHECK(sink.data(first + at, pages.subspan(at * kPageSize, data * kPageSize)));
        at += data;
    }
    return {};
}

} // namespace

Result<void> walk_pages(const SavedFile& saved, const DecodedBlock& block, PageRun within,
                        PageSink& sink) {
    PageReader reader(saved, block);
    const PageBuffer buffer(kWalkPages);
    std::uint64_t at = within.first;
    while (at < within.end()) {
        const auto stored = block.bitmap.next_set_run(at, within.end());
        const std::uint64_t first = stored ? stored->first : within.end();
        if (first != at)
            MFD_CHECK(sink.zeros({at, first - at}));
        if (!stored)
            break;
        at = span_end(block.bitmap, first, within.end());
        const auto pages = buffer.first(at - first);
        MFD_CHECK(reader.read(PageIndex(first), pages));
        MFD_CHECK(split(PageIndex(first), pages, sink));
    }
    return {};
}

} // namespace mfd::files
