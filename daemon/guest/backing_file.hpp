// The file behind a memory backend: made or opened by its type's rules, checked against size and
// offset. Control thread; may block on the file system, as object-add does in QEMU.
#pragma once

#include "daemon/guest/memory_backend.hpp"
#include "proto/error.hpp"

#include <cstdint>

namespace mfd {

struct BackingFile {
    UniqueFd fd;           // invalid for anonymous memory
    UniqueFd own_position; // see MemoryBackend
    MemoryKind kind = MemoryKind::Anonymous;
    std::uint64_t page_bytes = 4096;
    std::uint64_t map_bytes = 0; // size, rounded up to page_bytes
    bool passed = false;
};

[[nodiscard]] Result<BackingFile> open_backing_file(const BackendProperties& properties,
                                                    const FdsetOpener& open_fdset,
                                                    MemoryLifetime lifetime);

// The file that an earlier process had opened or made for the same properties. Refused if it has
// become too short meanwhile.
[[nodiscard]] Result<BackingFile> adopt_backing_file(const BackendProperties& properties,
                                                     UniqueFd fd, bool passed);

} // namespace mfd
