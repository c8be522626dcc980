#include "channels/checksum_reader.hpp"

#include "channels/file_io.hpp"
#include "channels/hex.hpp"
#include "proto/checked.hpp"
#include "proto/checksum.hpp"

#include <algorithm>
#include <cerrno>

namespace mfd {

Result<std::span<const std::uint32_t>>
ChecksumReader::recorded(const Block& block, std::uint64_t first, std::uint64_t count) {
    const std::uint64_t piece_first = first / kPiecePages * kPiecePages;
    const std::uint64_t offset = block.checksums_offset + piece_first * sizeof(std::uint32_t);
    // A place in the file has one meaning throughout a load.
    if (piece_pages_ == 0 || offset != piece_offset_) {
        const std::uint64_t pages = std::min(kPiecePages, block.pages - piece_first);
        piece_pages_ = 0; // nothing valid if the read fails
        auto read =
            read_all_at(file_, std::as_writable_bytes(std::span(piece_).first(pages)), offset);
        if (!read.has_value())
            return with_context("read checksums of block " + block.name + ": at 0x" +
                                    hex_text(offset),
                                std::move(read).error());
        piece_offset_ = offset;
        piece_pages_ = pages;
    }
    const std::uint64_t at = first - piece_first;
    return std::span<const std::uint32_t>(piece_).subspan(at, std::min(count, piece_pages_ - at));
}

Result<void> ChecksumReader::check(const Block& block, PageRun run, const std::byte* pages) {
    while (run.count != 0) {
        std::array<std::uint32_t, 256> found{};
        MFD_TRY(const auto wanted,
                recorded(block, run.first, std::min<std::uint64_t>(run.count, found.size())));
        page_checksums(pages, wanted.size(), found.data());
        const auto differing = std::ranges::mismatch(wanted, found).in1;
        if (differing != wanted.end()) {
            const auto index = static_cast<std::uint64_t>(differing - wanted.begin());
            const std::uint64_t page = run.first + index;
            return Error{Errc::BadFormat,
                         "block " + block.name + ", page " + std::to_string(page) + ", at 0x" +
                             hex_text(block.pages_offset + page * kPageSize) +
                             ": its checksum is 0x" + hex_text(found.at(index)) +
                             ", but the file has 0x" + hex_text(*differing) + " for it, at 0x" +
                             hex_text(block.checksums_offset + page * sizeof(std::uint32_t)),
                         EINVAL};
        }
        pages += wanted.size() * kPageSize;
        run.first += wanted.size();
        run.count -= wanted.size();
    }
    return {};
}

} // namespace mfd
