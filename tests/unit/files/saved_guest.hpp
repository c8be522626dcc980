// A small saved guest in a file: block "a" of 1500 pages with 700 to 1099 stored, block "b" of one,
// and checksums of all that.
#pragma once

#include "proto/checksum.hpp"
#include "qmp/files/saved_file.hpp"
#include "tests/support/stream_with_trailer.hpp"
#include "tests/unit/channels/temp_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <unistd.h>

namespace mfd::test {

class SavedGuest {
public:
    static constexpr std::uint64_t kFirstStored = 700;
    static constexpr std::uint64_t kStored = 400;

    // Page p of "a" is filled with the byte p % 251 where that is not 0; "b" is zero though stored.
    SavedGuest() {
        copy_metadata();
        for (std::uint64_t page = kFirstStored; page < kFirstStored + kStored; ++page)
            put_page(page, static_cast<std::byte>(page % 251));
        put_checksum(1, 0, zero_page_checksum());
    }

    [[nodiscard]] const std::string& path() const { return file_.path(); }
    [[nodiscard]] const TempFile& file() const { return file_; }
    [[nodiscard]] const StreamPlan& plan() const { return stream_.plan; }

    // Into the slot of a page of "a", with its checksum.
    void put_page(std::uint64_t page, std::byte value) const {
        const std::vector<std::byte> bytes(kPageSize, value);
        put_slot(page, bytes);
        std::uint32_t checksum = 0;
        page_checksums(bytes.data(), 1, &checksum);
        put_checksum(0, page, checksum);
    }
    void put_slot(std::uint64_t page, std::span<const std::byte> bytes) const {
        file_.write(plan().blocks[0].slot(PageIndex(page)).value, bytes);
    }
    void truncate(std::uint64_t bytes) const {
        REQUIRE(::truncate(path().c_str(), static_cast<off_t>(bytes)) == 0);
    }

private:
    void copy_metadata() {
        constexpr std::uint64_t kPiece = 65536;
        const std::uint64_t size = stream_.file.size();
        truncate(size);
        std::vector<std::byte> piece(kPiece);
        for (std::uint64_t at = 0; at < size; at += kPiece) {
            piece.resize(std::min(kPiece, size - at));
            REQUIRE(stream_.file.read_at(FileOffset(at), piece).has_value());
            if (std::ranges::any_of(piece, [](std::byte byte) { return byte != std::byte{0}; }))
                file_.write(at, piece);
        }
    }
    void put_checksum(std::size_t block, std::uint64_t page, std::uint32_t checksum) const {
        file_.write(stream_.trailer.blocks[block].table.value + page * sizeof(checksum),
                    std::as_bytes(std::span(&checksum, 1)));
    }

    testing::StreamWithTrailer stream_;
    TempFile file_;
};

} // namespace mfd::test
