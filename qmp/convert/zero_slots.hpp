// Slots of a file that are to read as zeros.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"
#include "proto/plan.hpp"

namespace mfd::convert {

// As holes where the file system has any, otherwise by writing zeros.
Result<void> zero_slots(FdRef file, const BlockLayout& layout, PageRun run);

} // namespace mfd::convert
