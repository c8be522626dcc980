// The checksums of a block's pages while it is saved: memory for all of them, of which only what is
// used is there (4 bytes for each page stored, in whole pages of memory).
#pragma once

#include "channels/migration_file.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <cstdint>
#include <memory>
#include <utility>

namespace mfd {

class ChecksumTable {
public:
    static Result<ChecksumTable> make(std::uint64_t pages);

    // Indexed by page. Workers may write different entries at the same time.
    [[nodiscard]] std::uint32_t* entries() const { return entries_.get(); }

    // Writes the parts with entries of pages that are set in `pages`, to their place in the table
    // that begins at `offset` of the file; adds the bytes to `written`. While nobody writes
    // entries.
    Result<void> write(MigrationFile& file, std::uint64_t offset, const PageBitmap& pages,
                       std::uint64_t& written) const;

private:
    struct Unmap {
        std::uint64_t bytes = 0;
        void operator()(std::uint32_t* entries) const;
    };
    using Entries = std::unique_ptr<std::uint32_t[], Unmap>;
    explicit ChecksumTable(Entries entries) : entries_(std::move(entries)) {}
    Entries entries_;
};

} // namespace mfd
