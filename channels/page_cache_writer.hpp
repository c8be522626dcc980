// Buffered writes of several channels to one file. The kernel lets one writer at a time into a
// file's page cache, and those who wait there spin; here they take turns, and sleep.
#pragma once

#include "channels/mutex.hpp"
#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cstdint>
#include <span>

#include <sys/uio.h>

namespace mfd {

// What happens to the pages that were written.
enum class WriteBack : std::uint8_t {
    Later,  // the kernel's decision, as for any file
    AtOnce, // started at once, beside the next writes: a sync will follow, and then finds less to
            // do
};

class PageCacheWriter {
public:
    explicit PageCacheWriter(WriteBack write_back) : write_back_(write_back) {}

    // As writev_all_at(). Any thread.
    Result<void> write(FdRef file, std::span<iovec> parts, std::uint64_t offset)
        MFD_EXCLUDES(turn_);

private:
    const WriteBack write_back_;
    Mutex turn_;
};

} // namespace mfd
