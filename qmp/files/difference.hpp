// In which pages two saved guests differ. A page that is not stored is zero, and equal to one that
// is stored and zero.
#pragma once

#include "proto/page_bitmap.hpp"
#include "qmp/files/saved_file.hpp"

#include <functional>

namespace mfd::files {

// A block of a file.
struct BlockOf {
    const SavedFile& saved;
    const DecodedBlock& block;
};

// Calls `visit` for the runs of differing pages in ascending order, each as long as it can be, as
// far as both blocks reach. Pages are compared with their checksums first, where a file has some.
Result<void> for_each_difference(const BlockOf& a, const BlockOf& b,
                                 const std::function<Result<void>(PageRun)>& visit);

} // namespace mfd::files
