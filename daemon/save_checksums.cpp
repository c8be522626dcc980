#include "daemon/save_checksums.hpp"

#include <random>
#include <utility>

namespace mfd {

std::uint64_t SaveChecksums::draw_id() {
    std::random_device device;
    std::uniform_int_distribution<std::uint64_t> any;
    return any(device);
}

Result<SaveChecksums> SaveChecksums::make(const StreamPlan& plan, FileOffset stream_end,
                                          std::uint64_t id) {
    MFD_TRY(Trailer trailer, plan_trailer(plan, stream_end, id));
    std::vector<ChecksumTable> tables;
    for (const BlockLayout& layout : plan.blocks) {
        MFD_TRY(ChecksumTable table, ChecksumTable::make(layout.pages()));
        tables.push_back(std::move(table));
    }
    return SaveChecksums(std::move(trailer), std::move(tables));
}

Result<std::uint64_t> SaveChecksums::write_table(MigrationFile& file, std::size_t block,
                                                 const PageBitmap& pages) const {
    std::uint64_t written = 0;
    MFD_CHECK(tables_[block].write(file, trailer_.blocks[block].table.value, pages, written));
    return written;
}

void SaveChecksums::add_head(const StreamPlan& plan, std::span<const Fragment> head) {
    // The first fragment holds the configuration and leads up to the first block; the last one is
    // behind all blocks. A stream without blocks has one fragment.
    const std::span<const std::byte> first(head.front().bytes);
    const std::size_t configuration = plan.start_offset.value - plan.stream_offset.value;
    trailer_.configuration_checksum = checksum64(first.first(configuration));
    for (std::size_t i = 0; i < head.size(); ++i) {
        const auto rest = i == 0 ? first.subspan(configuration) : std::span(head[i].bytes);
        if (i < trailer_.blocks.size())
            trailer_.blocks[i].entry_checksum = checksum64(rest);
        else
            sections_.add(rest);
    }
}

void SaveChecksums::add_bitmap(std::size_t block, const PageBitmap& present) {
    trailer_.blocks[block].bitmap_checksum = checksum64(present.bytes());
}

Result<std::uint64_t> SaveChecksums::finish(MigrationFile& file, const Fragment& tail,
                                            std::string_view vmdescription) {
    const std::span<const std::byte> bytes(tail.bytes);
    const auto section = bytes.last(vmdescription_bytes(vmdescription));
    add_sections(bytes.first(bytes.size() - section.size()));
    trailer_.sections_checksum = sections_.value();
    trailer_.vmdescription_checksum = checksum64(section);
    const Fragment head = encode_trailer(trailer_);
    MFD_CHECK(file.write_meta(head.bytes, head.at.value));
    MFD_CHECK(file.extend(trailer_.end.value));
    return head.bytes.size();
}

} // namespace mfd
