#include "qmp/files/saved_file.hpp"

#include "proto/text.hpp"
#include "qmp/files/packing.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace mfd::files {

namespace {

// The decoder's, in QEMU's words.
constexpr std::string_view kNotMappedRam = "received capability is off";

// Chosen: so many slots of no use are read along, which is less than another call costs.
constexpr std::uint64_t kGapPages = 16;

// Magic and version; multifdd writes them last into a file that was there before.
constexpr std::size_t kStreamHead = 8;

bool is_compressed(const StreamPlace& place) {
    return place.libvirt && !place.has_magic && place.libvirt->format != 0;
}

} // namespace

Result<SavedFile> SavedFile::open(const std::string& path, const OpenOptions& options) {
    MFD_TRY(auto file, InputFile::open(path));
    SavedFile saved;
    saved.file_ = std::make_unique<InputFile>(std::move(file));
    auto place = find_stream(*saved.file_, options.offset);
    if (!place)
        return with_context(path, std::move(place).error());
    saved.place_ = std::move(*place);
    saved.decode(options.offset_option);
    if (saved.stream_is_sound_ && options.checksums == Checksums::Use)
        saved.find_checksums();
    if (saved.problem_ && (options.damaged == Damaged::Refuse || saved.problem_->code == Errc::Io))
        return with_context(path, *std::move(saved.problem_));
    return saved;
}

void SavedFile::decode(std::string_view offset_option) {
    auto inspection = inspect_stream(*file_, place_.offset);
    stream_ = std::move(inspection.stream);
    if (inspection.problem)
        problem_ = explain(*std::move(inspection.problem), offset_option);
    else if (place_.libvirt && !place_.libvirt->complete)
        problem_ =
            format_error("libvirt has not marked this save image as complete", FileOffset(0));
    stream_is_sound_ = !problem_;
}

void SavedFile::find_checksums() {
    auto found = find_trailer(*file_, stream_);
    if (!found) {
        problem_ = std::move(found).error();
        return;
    }
    if (*found) {
        auto matches = check_metadata(*file_, stream_, **found);
        if (!matches)
            problem_ = std::move(matches).error();
    }
    trailer_ = *std::move(found);
}

// What a person would do next.
Error SavedFile::explain(Error error, std::string_view offset_option) const {
    if (is_compressed(place_))
        return Error{Errc::Unsupported,
                     "a libvirt save image in the format '" + place_.libvirt->format_name() +
                         "': 'multifdctl convert' makes a mapped-ram file of it",
                     ENOTSUP};
    if (!place_.has_magic && error.code == Errc::BadFormat)
        return no_stream(std::move(error), offset_option);
    if (error.what.find(kNotMappedRam) != std::string::npos)
        error.what +=
            "; if it is an ordinary stream, 'multifdctl convert' makes a mapped-ram file of it";
    return error;
}

// Where a stream should begin something else does.
Error SavedFile::no_stream(Error error, std::string_view offset_option) const {
    std::array<std::byte, kStreamHead + 1> head{};
    const std::uint64_t size = file_->size();
    const std::uint64_t at = place_.offset.value;
    if (size == 0) {
        error.what += "; it is empty: a save into it has just begun, or did not get far";
        return error;
    }
    if (at > size || size - at < head.size() || !file_->read(place_.offset, head))
        return error;
    if (std::ranges::all_of(std::span(head).first(kStreamHead),
                            [](std::byte byte) { return byte == std::byte{0}; }) &&
        head.back() != std::byte{0})
        return error; // which says that a save did not end
    if (const Packing* const packing = packing_of(head)) {
        const std::string name(packing->name);
        return Error{Errc::Unsupported,
                     "the file is compressed with " + name + "; unpack it first, as with: " + name +
                         (name == "zstd" ? " -d --sparse IN -o FILE" : " -dc IN > FILE"),
                     ENOTSUP};
    }
    error.what += "; if the stream begins elsewhere, give its place with ";
    error.what += offset_option;
    return error;
}

const DecodedBlock* SavedFile::find_block(std::string_view name) const {
    const auto found = std::ranges::find_if(
        stream_.blocks, [&](const DecodedBlock& block) { return block.layout.idstr == name; });
    return found == stream_.blocks.end() ? nullptr : &*found;
}

Result<const DecodedBlock*> SavedFile::require_block(std::string_view name) const {
    if (const DecodedBlock* const block = find_block(name))
        return block;
    return bad_argument("there is no block " + printable(name) + " in the file; it has " +
                        block_names());
}

std::string SavedFile::block_names() const {
    std::string names;
    for (const DecodedBlock& block : stream_.blocks)
        names += (names.empty() ? "" : ", ") + printable(block.layout.idstr);
    return names;
}

std::optional<FileOffset> SavedFile::checksums_offset(const DecodedBlock& block) const {
    if (!trailer_)
        return std::nullopt;
    return trailer_->blocks[static_cast<std::size_t>(&block - stream_.blocks.data())].table;
}

Result<void> SavedFile::read_pages(const DecodedBlock& block, PageIndex first,
                                   std::span<std::byte> into) const {
    const std::uint64_t end = first.value + into.size() / kPageSize;
    const auto part = [&](std::uint64_t from, std::uint64_t to) {
        return into.subspan((from - first.value) * kPageSize, (to - from) * kPageSize);
    };
    const PageBitmap& bitmap = block.bitmap;
    std::uint64_t at = first.value;
    while (const auto run = bitmap.next_set_run(at, end)) {
        std::ranges::fill(part(at, run->first), std::byte{0});
        std::uint64_t stop = run->end();
        for (auto next = bitmap.next_set_run(stop, end); next && next->first - stop <= kGapPages;
             next = bitmap.next_set_run(stop, end))
            stop = next->end();
        MFD_CHECK(read_slots(block, PageIndex(run->first), part(run->first, stop)));
        for (auto gap = bitmap.next_clear_run(run->first, stop); gap;
             gap = bitmap.next_clear_run(gap->end(), stop))
            std::ranges::fill(part(gap->first, gap->end()), std::byte{0});
        at = stop;
    }
    std::ranges::fill(part(at, end), std::byte{0});
    return {};
}

Result<void> SavedFile::read_slots(const DecodedBlock& block, PageIndex first,
                                   std::span<std::byte> into) const {
    auto read = file_->read(block.layout.slot(first), into);
    if (!read)
        return with_context("block " + printable(block.layout.idstr) + ", page " +
                                std::to_string(first.value),
                            std::move(read).error());
    return {};
}

} // namespace mfd::files
