// The pages of a block in order, as data and zeros: for whatever writes them somewhere.
#pragma once

#include "proto/page_bitmap.hpp"
#include "qmp/files/saved_file.hpp"

#include <cstddef>
#include <span>

namespace mfd::files {

class PageSink {
public:
    virtual ~PageSink() = default;
    // Whole pages, none of them zero.
    virtual Result<void> data(PageIndex first, std::span<const std::byte> pages) = 0;
    virtual Result<void> zeros(PageRun run) = 0;

protected:
    PageSink() = default;
    PageSink(const PageSink&) = default;
    PageSink& operator=(const PageSink&) = default;
};

// Every page of `within` goes to the sink, in ascending order; stored pages that are zero go as
// zeros. Pages are compared with the checksums of the file, where it has some.
Result<void> walk_pages(const SavedFile& saved, const DecodedBlock& block, PageRun within,
                        PageSink& sink);

} // namespace mfd::files
