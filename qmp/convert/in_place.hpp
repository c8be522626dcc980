// Changes a complete mapped-ram file where it stands. No page moves, so that the file can be
// restored whenever this is interrupted, by a signal, a crash or a power failure: what it says is
// the guest's memory at every moment. The order of the steps, each on stable storage before the
// next, is what makes it so:
//
//   drop zero pages    their bits are cleared: the page is zero either way
//   store zero pages   their slots are made zero, then their bits are set
//   punch holes        only slots whose bits are clear, which mean nothing
//   add checksums      tables, then the head, behind the stream, not a byte of which changes: the
//                      stream does not name them
//   remove checksums   head, then one byte of the stream's mention of them, then the rest. Between
//                      the first two multifdd refuses the file, since it names checksums that are
//                      not there; QEMU does not look at them, and a second call finishes the work
#pragma once

#include "proto/error.hpp"
#include "qmp/convert/gathering_sink.hpp"
#include "qmp/convert/watcher.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace mfd::convert {

enum class Checksums : std::uint8_t { AsBefore, On, Off };

struct InPlaceChanges {
    std::optional<std::uint64_t> offset; // of the stream; found by itself if not set
    ZeroPages zeros = ZeroPages::Keep;
    Checksums checksums = Checksums::AsBefore;
    bool punch_holes = false;
};

struct InPlaceResult {
    std::uint64_t stored_pages = 0;
    std::uint64_t total_pages = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t allocated_before = 0; // bytes on the file system
    std::uint64_t allocated_after = 0;
    bool checksums = false;
};

// Pages are compared with their checksums before anything is built on them.
Result<InPlaceResult> convert_in_place(const std::string& path, const InPlaceChanges& changes,
                                       Watcher& watcher);

} // namespace mfd::convert
