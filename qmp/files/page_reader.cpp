#include "qmp/files/page_reader.hpp"

#include "proto/text.hpp"

namespace mfd::files {

PageReader::PageReader(const SavedFile& saved, const DecodedBlock& block)
    : saved_(saved), block_(block), name_(printable(block.layout.idstr)),
      table_(saved.checksums_offset(block)), checksums_(saved.file().fd()) {}

Result<void> PageReader::read(PageIndex first, std::span<std::byte> into) {
    MFD_CHECK(saved_.read_pages(block_, first, into));
    return check(first, into);
}

Result<void> PageReader::check(PageIndex first, std::span<const std::byte> pages) {
    if (!table_)
        return {};
    const ChecksumReader::Block block{name_, block_.layout.pages(),
                                      block_.layout.pages_offset.value, table_->value};
    const std::uint64_t end = first.value + pages.size() / kPageSize;
    std::uint64_t at = first.value;
    while (const auto run = block_.bitmap.next_set_run(at, end)) {
        MFD_CHECK(checksums_.check(block, *run,
                                   pages.subspan((run->first - first.value) * kPageSize).data()));
        at = run->end();
    }
    return {};
}

} // namespace mfd::files
