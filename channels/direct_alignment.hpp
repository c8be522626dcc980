// What direct I/O on a file must be aligned to: asked of the file system, probed where it does not
// say. Job thread; may block.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cstdint>

namespace mfd {

// What direct transfers must be multiples of. Powers of two.
struct DirectAlignment {
    std::uint32_t memory_bytes = 4096;
    std::uint32_t offset_bytes = 4096; // of file offset and length
};

// `fd` is a write-only O_DIRECT descriptor of a file of `file_bytes` whose stream starts at
// `stream_offset`. A probe may write zeros behind both, where the stream is going to stand, and
// cuts the file to file_bytes again.
Result<DirectAlignment> ask_save_alignment(FdRef fd, std::uint64_t stream_offset,
                                           std::uint64_t file_bytes);
// `fd` is a read-only O_DIRECT descriptor.
Result<DirectAlignment> ask_load_alignment(FdRef fd);

} // namespace mfd
