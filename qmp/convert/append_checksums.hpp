// Puts the trailer with the checksums behind a stream that is complete.
#pragma once

#include "channels/unique_fd.hpp"
#include "qmp/convert/watcher.hpp"
#include "qmp/files/saved_file.hpp"

#include <cstdint>

namespace mfd::convert {

// Any number: what ties a trailer to the stream that names it.
std::uint64_t draw_trailer_id();

// `saved` is read, `file` is the same file, open for writing. What stands behind the stream is gone
// afterwards. The trailer's head is written last, when all else is on stable storage: until then
// there is none. Returns where the trailer ends.
Result<FileOffset> append_checksums(const files::SavedFile& saved, FdRef file, std::uint64_t id,
                                    Watcher& watcher);

} // namespace mfd::convert
