// Compares pages that were loaded with the checksums that stand in the file. Reads those in pieces,
// through the buffered descriptor, as they are needed; transfers end nearly in the order of the
// file, so one piece serves many. Belongs to one worker thread.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace mfd {

class ChecksumReader {
public:
    struct Block {
        const std::string& name;
        std::uint64_t pages;
        std::uint64_t pages_offset;     // of page 0 in the file
        std::uint64_t checksums_offset; // of its checksum
    };

    // Stays open for as long as this lives.
    explicit ChecksumReader(FdRef buffered) : file_(buffered) {}

    // `pages` is what was read of the run. The error names the first page that does not match.
    Result<void> check(const Block& block, PageRun run, const std::byte* pages);

private:
    // What the file has of the pages from `first` on; at least one, at most `count`.
    Result<std::span<const std::uint32_t>> recorded(const Block& block, std::uint64_t first,
                                                    std::uint64_t count);

    static constexpr std::uint64_t kPiecePages = 4096; // 16 KiB, which go with 16 MiB of pages

    FdRef file_;
    std::array<std::uint32_t, kPiecePages> piece_{};
    std::uint64_t piece_offset_ = 0; // in the file
    std::uint64_t piece_pages_ = 0;
};

} // namespace mfd
