// The trailer of one save: tables that the workers fill, written as far as they changed after each
// pass, and the checksums of all else, put together while it is written. Used by the job thread.
#pragma once

#include "channels/checksum_table.hpp"
#include "channels/migration_file.hpp"
#include "proto/checksum.hpp"
#include "proto/encode.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"
#include "proto/plan.hpp"
#include "proto/trailer.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace mfd {

class SaveChecksums {
public:
    // A number that no other trailer has.
    static std::uint64_t draw_id();

    static Result<SaveChecksums> make(const StreamPlan& plan, FileOffset stream_end,
                                      std::uint64_t id);

    // Where the file will end.
    [[nodiscard]] FileOffset end() const { return trailer_.end; }

    // For the workers: indexed by page of the plan's block.
    [[nodiscard]] std::uint32_t* entries(std::size_t block) const {
        return tables_[block].entries();
    }

    // Writes what a pass over `pages` of the block may have changed. The bytes written.
    Result<std::uint64_t> write_table(MigrationFile& file, std::size_t block,
                                      const PageBitmap& pages) const;

    // Metadata, in the order of the file: what encode_head() gave, then all sections behind it.
    void add_head(const StreamPlan& plan, std::span<const Fragment> head);
    void add_sections(std::span<const std::byte> bytes) { sections_.add(bytes); }
    void add_bitmap(std::size_t block, const PageBitmap& present);

    // Writes the head, with which the trailer is complete, and gives the file its length. `tail` is
    // what will close the stream, its last section the vmdescription. The bytes written.
    Result<std::uint64_t> finish(MigrationFile& file, const Fragment& tail,
                                 std::string_view vmdescription);

private:
    SaveChecksums(Trailer trailer, std::vector<ChecksumTable> tables)
        : trailer_(std::move(trailer)), tables_(std::move(tables)) {}

    Trailer trailer_;
    std::vector<ChecksumTable> tables_;
    Checksum64 sections_;
};

} // namespace mfd
