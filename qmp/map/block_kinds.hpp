// The kinds of a block's pages, run by run.
#pragma once

#include "qmp/files/saved_file.hpp"
#include "qmp/map/page_kind.hpp"

namespace mfd::map {

// Calls `visit` for runs that leave no page of the block out, in ascending order. With `other` a
// page that differs there, or that `other` does not have, is Kind::Differs and nothing else. Reads
// what has to be read: slots with clear bits that are no holes, and with `other` the stored pages
// of both.
Result<void> for_each_kind(const files::SavedFile& saved, const DecodedBlock& block,
                           const files::SavedFile* other, const KindVisitor& visit);

} // namespace mfd::map
