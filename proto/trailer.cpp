#include "proto/trailer.hpp"

#include "proto/byte_cursor.hpp"
#include "proto/checksum.hpp"
#include "proto/text.hpp"
#include "proto/trailer_mark.hpp"
#include "proto/wire.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

namespace mfd {

namespace {

constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);

// Chosen: a head of version 1 with as many blocks as the decoder takes is a fifth of it.
constexpr std::uint32_t kMaxHeadBytes = 1U << 20;

Error bad_trailer(std::string what, FileOffset at) {
    return format_error("trailer with the checksums: " + std::move(what), at);
}

std::uint64_t head_bytes(std::size_t blocks) {
    return sizeof(wire::TrailerHead) + blocks * sizeof(wire::TrailerBlock) + kChecksumBytes;
}

// The head's fields against the stream that it stands behind.
Result<Trailer> decode_fields(ByteCursor fields, FileOffset at, std::uint64_t file_bytes,
                              const DecodedStream& stream) {
    const auto head = *fields.take<wire::TrailerHead>(); // the caller has looked at the length
    Trailer trailer;
    trailer.id = head.id.get();
    trailer.at = at;
    trailer.stream_offset = FileOffset(head.stream_offset.get());
    trailer.stream_end = FileOffset(head.stream_end.get());
    trailer.configuration_checksum = head.configuration_checksum.get();
    trailer.sections_checksum = head.sections_checksum.get();
    trailer.vmdescription_checksum = head.vmdescription_checksum.get();
    const auto end = checked_add(at.value, head.trailer_bytes.get());
    if (!end || *end > file_bytes)
        return bad_trailer("its " + hex(head.trailer_bytes.get()) +
                               " bytes end past the end of the file (" + hex(file_bytes) + ")",
                           at);
    trailer.end = FileOffset(*end);
    const FileOffset sections_end = stream.vmdescription_offset.value_or(stream.end);
    if (trailer.stream_offset != stream.stream_offset || trailer.stream_end < sections_end ||
        trailer.stream_end > at)
        return bad_trailer("it is of a stream from " + hex(trailer.stream_offset.value) + " to " +
                               hex(trailer.stream_end.value),
                           at);
    FileOffset free = at + head.start.head_bytes.get();
    for (const DecodedBlock& block : stream.blocks) {
        const auto entry = fields.take<wire::TrailerBlock>();
        const std::string name = "ramblock " + printable(block.layout.idstr);
        if (!entry || entry->pages.get() != block.layout.pages())
            return bad_trailer("it is of other blocks, or of another length of " + name, at);
        const FileOffset table(entry->table_offset.get());
        const std::uint64_t bytes = entry->pages.get() * sizeof(std::uint32_t);
        if (table.value % kTrailerUnit != 0 || table < free || table > trailer.end ||
            bytes > trailer.end.value - table.value)
            return bad_trailer(
                "the table of " + name + " at " + hex(table.value) + " does not lie inside it", at);
        free = table + bytes;
        trailer.blocks.push_back(
            {entry->pages.get(), table, entry->entry_checksum.get(), entry->bitmap_checksum.get()});
    }
    if (fields.left() != 0 || head.blocks.get() != stream.blocks.size())
        return bad_trailer("it is of other blocks", at);
    return trailer;
}

// The trailer at `at`; nothing if there is none.
Result<std::optional<Trailer>> decode_trailer(ByteSource& source, FileOffset at,
                                              const DecodedStream& stream) {
    const std::uint64_t size = source.size();
    const std::uint64_t room = at.value < size ? size - at.value : 0;
    std::array<std::byte, sizeof(wire::TrailerStart)> first{};
    if (room < first.size())
        return std::nullopt;
    MFD_CHECK(source.read_at(at, first));
    const auto start = *ByteCursor(first).take<wire::TrailerStart>();
    if (start.magic != Big(wire::kTrailerMagic))
        return std::nullopt;
    const std::uint32_t bytes = start.head_bytes.get();
    if (bytes < head_bytes(0) || bytes > kMaxHeadBytes || bytes > room)
        return bad_trailer("a head of " + std::to_string(bytes) + " bytes cannot be", at);
    std::vector<std::byte> head(bytes);
    MFD_CHECK(source.read_at(at, head));
    const auto fields = std::span<const std::byte>(head).first(bytes - kChecksumBytes);
    if (ByteCursor(std::span(head).last(kChecksumBytes)).take_big<std::uint64_t>() !=
        checksum64(fields))
        return bad_trailer("its head does not match its checksum", at);
    if (start.version != Big(wire::kTrailerVersion))
        return Error{Errc::Unsupported,
                     "the checksums of this file, at " + hex(at.value) + ", are of version " +
                         std::to_string(start.version.get()) +
                         ", which is not known here: x-verify=off loads the file without them",
                     ENOTSUP};
    MFD_TRY(auto trailer, decode_fields(ByteCursor(fields), at, size, stream));
    return std::optional(std::move(trailer));
}

Result<std::uint64_t> checksum_of(ByteSource& source, FileOffset from, FileOffset to) {
    constexpr std::uint64_t kPieceBytes = 65536;
    Checksum64 checksum;
    std::vector<std::byte> piece(std::min(to.value - from.value, kPieceBytes));
    while (from < to) {
        const auto part = std::span(piece).first(std::min(to.value - from.value, kPieceBytes));
        MFD_CHECK(source.read_at(from, part));
        checksum.add(part);
        from = from + part.size();
    }
    return checksum.value();
}

Result<void> check_range(ByteSource& source, const std::string& name, FileOffset from,
                         FileOffset to, std::uint64_t wanted) {
    MFD_TRY(const std::uint64_t found, checksum_of(source, from, to));
    if (found != wanted)
        return format_error(name + " (" + std::to_string(to.value - from.value) +
                                " bytes): does not match its checksum",
                            from);
    return {};
}

Result<void> check_vmdescription(ByteSource& source, const DecodedStream& stream,
                                 const Trailer& trailer) {
    return check_range(source, "vmdescription", stream.vmdescription_offset.value_or(stream.end),
                       trailer.stream_end, trailer.vmdescription_checksum);
}

Result<void> check_but_vmdescription(ByteSource& source, const DecodedStream& stream,
                                     const Trailer& trailer) {
    MFD_CHECK(check_range(source, "file header and configuration", stream.stream_offset,
                          stream.configuration_end, trailer.configuration_checksum));
    FileOffset at = stream.configuration_end;
    for (std::size_t i = 0; i < stream.blocks.size(); ++i) {
        const BlockLayout& layout = stream.blocks[i].layout;
        const std::string name = "ramblock " + printable(layout.idstr);
        MFD_CHECK(check_range(source, name + ": its entry and mapped-ram header", at,
                              layout.bitmap_offset, trailer.blocks[i].entry_checksum));
        if (checksum64(stream.blocks[i].bitmap.bytes()) != trailer.blocks[i].bitmap_checksum)
            return format_error(name + ": bitmap (" + std::to_string(layout.bitmap_size()) +
                                    " bytes): does not match its checksum",
                                layout.bitmap_offset);
        at = layout.slots_end();
    }
    return check_range(source, "sections behind the RAM", at,
                       stream.vmdescription_offset.value_or(stream.end), trailer.sections_checksum);
}

Result<std::optional<Trailer>> find_named(ByteSource& source, const DecodedStream& stream,
                                          FileOffset at, std::uint64_t id) {
    MFD_TRY(auto trailer, decode_trailer(source, at, stream));
    if (!trailer)
        return bad_trailer("missing or damaged; the vmdescription names it", at);
    if (trailer->id != id)
        return bad_trailer(
            "its number is " + hex(trailer->id) + ", the vmdescription names " + hex(id), at);
    return trailer;
}

// A stream that names no trailer has none, but for two cases: one without a vmdescription cannot
// name it, and the vmdescription may be damaged. Both have all other metadata as it was.
Result<std::optional<Trailer>> find_unnamed(ByteSource& source, const DecodedStream& stream,
                                            FileOffset at) {
    auto found = decode_trailer(source, at, stream);
    if (!found.has_value() && found.error().code == Errc::Io)
        return found; // the source cannot be read
    if (!found.has_value() || !*found)
        return std::nullopt;
    auto matches = check_but_vmdescription(source, stream, **found);
    if (!matches.has_value() && matches.error().code == Errc::Io)
        return std::move(matches).error();
    if (!matches.has_value())
        return std::nullopt;
    MFD_CHECK(check_vmdescription(source, stream, **found));
    return found;
}

} // namespace

Result<Trailer> plan_trailer(const StreamPlan& plan, FileOffset stream_end, std::uint64_t id) {
    Trailer trailer;
    trailer.id = id;
    trailer.stream_offset = plan.stream_offset;
    trailer.stream_end = stream_end;
    auto at = checked_round_up(stream_end.value, kTrailerUnit);
    trailer.at = FileOffset(at.value_or(0));
    std::uint64_t bytes = head_bytes(plan.blocks.size());
    for (const BlockLayout& layout : plan.blocks) {
        at = at ? checked_add(*at, bytes) : at;
        at = at ? checked_round_up(*at, kTrailerUnit) : at;
        trailer.blocks.push_back({layout.pages(), FileOffset(at.value_or(0)), 0, 0});
        bytes = layout.pages() * sizeof(std::uint32_t); // no more than the block's own bytes
    }
    at = at ? checked_add(*at, bytes) : at;
    at = at ? checked_round_up(*at, kTrailerUnit) : at;
    if (!at || *at > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
        return Error{Errc::BadArgument, "the checksums of this save lie past the longest file",
                     EFBIG};
    trailer.end = FileOffset(*at);
    return trailer;
}

Result<void> sum_metadata(ByteSource& source, const DecodedStream& stream, Trailer& trailer) {
    const FileOffset sections_end = stream.vmdescription_offset.value_or(stream.end);
    MFD_TRY(trailer.configuration_checksum,
            checksum_of(source, stream.stream_offset, stream.configuration_end));
    FileOffset at = stream.configuration_end;
    for (std::size_t i = 0; i < stream.blocks.size(); ++i) {
        const BlockLayout& layout = stream.blocks[i].layout;
        MFD_TRY(trailer.blocks[i].entry_checksum, checksum_of(source, at, layout.bitmap_offset));
        trailer.blocks[i].bitmap_checksum = checksum64(stream.blocks[i].bitmap.bytes());
        at = layout.slots_end();
    }
    MFD_TRY(trailer.sections_checksum, checksum_of(source, at, sections_end));
    MFD_TRY(trailer.vmdescription_checksum, checksum_of(source, sections_end, trailer.stream_end));
    return {};
}

Fragment encode_trailer(const Trailer& trailer) {
    ByteWriter out;
    wire::TrailerHead head;
    head.start = {wire::kTrailerMagic, wire::kTrailerVersion,
                  static_cast<std::uint32_t>(head_bytes(trailer.blocks.size()))};
    head.trailer_bytes = trailer.end.value - trailer.at.value;
    head.id = trailer.id;
    head.stream_offset = trailer.stream_offset.value;
    head.stream_end = trailer.stream_end.value;
    head.configuration_checksum = trailer.configuration_checksum;
    head.sections_checksum = trailer.sections_checksum;
    head.vmdescription_checksum = trailer.vmdescription_checksum;
    head.blocks = trailer.blocks.size();
    out.put(head);
    for (const Trailer::Block& block : trailer.blocks)
        out.put(wire::TrailerBlock{block.pages, block.table.value, block.entry_checksum,
                                   block.bitmap_checksum});
    std::vector<std::byte> bytes = out.take_all();
    const std::uint64_t checksum = checksum64(bytes);
    out.put_bytes(bytes).put_big(checksum);
    return {trailer.at, out.take_all()};
}

Result<std::optional<Trailer>> find_trailer(ByteSource& source, const DecodedStream& stream) {
    const auto at = checked_round_up(stream.end.value, kTrailerUnit);
    if (!at)
        return std::nullopt;
    if (const auto id = trailer_id(stream.vmdescription))
        return find_named(source, stream, FileOffset(*at), *id);
    MFD_TRY(auto found, find_unnamed(source, stream, FileOffset(*at)));
    // Where a vmdescription's mark is damaged, the stream seems to end before it. Only devices of
    // known length can be walked then, and what describes those is shorter than a unit.
    if (!found && !stream.vmdescription_offset)
        return find_unnamed(source, stream, FileOffset(*at + kTrailerUnit));
    return found;
}

Result<void> check_metadata(ByteSource& source, const DecodedStream& stream,
                            const Trailer& trailer) {
    MFD_CHECK(check_but_vmdescription(source, stream, trailer));
    return check_vmdescription(source, stream, trailer);
}

} // namespace mfd
