// A saved guest as a file: what stands where, checked as a restore would check it, and its pages.
//
//     MFD_TRY(const auto saved, SavedFile::open(path));
//     for (const DecodedBlock& block : saved.blocks())
//         MFD_CHECK(saved.read_pages(block, PageIndex(0), bytes));
//
// Nothing is read into memory but metadata (bitmaps: 32 MiB per TiB of RAM). What the file says of
// itself is untrusted: names go through printable() (proto/text.hpp) before a terminal sees them.
// Const members may be called from any thread, for_each_run() (page_state.hpp) from one at a time.
#pragma once

#include "proto/decode.hpp"
#include "proto/trailer.hpp"
#include "qmp/files/input_file.hpp"
#include "qmp/files/stream_search.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd::files {

// What to do with a file that a restore would refuse.
enum class Damaged : std::uint8_t {
    Refuse,
    Show, // what could be read of it is there, and problem() says what is wrong
};
enum class Checksums : std::uint8_t { Use, Ignore };

struct OpenOptions {
    std::optional<std::uint64_t> offset; // of the stream; found by itself if not set
    Damaged damaged = Damaged::Refuse;
    Checksums checksums = Checksums::Use; // Ignore: trailer() is nothing, whatever the file has
    std::string_view offset_option = "--offset"; // what a person gives `offset` with
};

class SavedFile {
public:
    // Errors: the file cannot be read; and, with Damaged::Refuse, what problem() would say.
    static Result<SavedFile> open(const std::string& path, const OpenOptions& options = {});

    [[nodiscard]] const InputFile& file() const { return *file_; }
    [[nodiscard]] const StreamPlace& place() const { return place_; }
    [[nodiscard]] const DecodedStream& stream() const { return stream_; }
    [[nodiscard]] std::span<const DecodedBlock> blocks() const { return stream_.blocks; }
    // The block of that name; nullptr if there is none.
    [[nodiscard]] const DecodedBlock* find_block(std::string_view name) const;
    // The same; where there is none, BadArgument with the names of those there are.
    [[nodiscard]] Result<const DecodedBlock*> require_block(std::string_view name) const;
    // "pc.ram, pc.bios, ...", fit to be shown.
    [[nodiscard]] std::string block_names() const;

    // The checksums behind the stream; their own and those of all metadata have been compared.
    [[nodiscard]] const std::optional<Trailer>& trailer() const { return trailer_; }
    // Of a block's pages in the file: where the checksum of page 0 stands.
    [[nodiscard]] std::optional<FileOffset> checksums_offset(const DecodedBlock& block) const;

    // The first thing that is wrong with stream or trailer.
    [[nodiscard]] const std::optional<Error>& problem() const { return problem_; }
    // Stream and END are whole, whatever is with the trailer.
    [[nodiscard]] bool stream_is_sound() const { return stream_is_sound_; }

    // Pages of a block as a restore would bring them, from `first` on: slots where the bit is set,
    // zeros elsewhere. `into` is a multiple of kPageSize and ends inside the block.
    Result<void> read_pages(const DecodedBlock& block, PageIndex first,
                            std::span<std::byte> into) const;
    // The slots as they are, also of pages that the bitmap does not have.
    Result<void> read_slots(const DecodedBlock& block, PageIndex first,
                            std::span<std::byte> into) const;

private:
    SavedFile() = default;
    void decode(std::string_view offset_option);
    void find_checksums();
    [[nodiscard]] Error explain(Error error, std::string_view offset_option) const;
    [[nodiscard]] Error no_stream(Error error, std::string_view offset_option) const;

    std::unique_ptr<InputFile> file_; // stays in its place when this moves
    StreamPlace place_;
    DecodedStream stream_;
    std::optional<Trailer> trailer_;
    std::optional<Error> problem_;
    bool stream_is_sound_ = false;
};

} // namespace mfd::files
