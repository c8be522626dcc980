// The memory of a saved guest, handed to whoever writes it in another form.
#pragma once

#include "proto/ram_sink.hpp"
#include "qmp/convert/watcher.hpp"
#include "qmp/files/saved_file.hpp"

#include <functional>
#include <span>

namespace mfd::convert {

// Reads the stored pages of all blocks in the order of the file, each compared with its checksum
// where the file has one, and calls `visit` with up to 4 MiB of them (aligned to pages) at a time.
// `step` is what the watcher is told.
using VisitPages =
    std::function<Result<void>(std::size_t block, PageRun run, std::span<const std::byte> bytes)>;
Result<void> for_each_stored_run(const files::SavedFile& saved, Watcher& watcher,
                                 std::string_view step, const VisitPages& visit);

GuestHead head_of(const DecodedStream& stream);
GuestTail tail_of(const DecodedStream& stream);

// All pages of all blocks, zero ones as well.
Result<void> copy_pages(const files::SavedFile& saved, RamSink& sink, Watcher& watcher);

} // namespace mfd::convert
