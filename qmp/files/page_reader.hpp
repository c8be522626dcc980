// Pages of one block, each compared with its checksum where the file has one. Belongs to one
// thread; reads go on from one another best.
#pragma once

#include "channels/checksum_reader.hpp"
#include "qmp/files/saved_file.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace mfd::files {

class PageReader {
public:
    // Both outlive this.
    PageReader(const SavedFile& saved, const DecodedBlock& block);

    // As SavedFile::read_pages(); the error of a damaged page (BadFormat) names it.
    Result<void> read(PageIndex first, std::span<std::byte> into);
    // Only the comparison; `pages` is what was read of [first, ...).
    Result<void> check(PageIndex first, std::span<const std::byte> pages);

private:
    const SavedFile& saved_;
    const DecodedBlock& block_;
    std::string name_; // fit to be shown
    std::optional<FileOffset> table_;
    ChecksumReader checksums_;
};

} // namespace mfd::files
