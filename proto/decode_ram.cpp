#include "proto/decode_steps.hpp"
#include "proto/text.hpp"
#include "proto/wire.hpp"

#include <limits>
#include <set>

namespace mfd::decoding {

namespace {

constexpr WhenCut kAddressCut{"Getting RAM address failed", EIO};

std::string block_name(std::string_view idstr) {
    return "ramblock " + printable(idstr);
}

// One entry of the list: name and length, at the reader.
Result<void> decode_entry(StreamReader& in, std::uint64_t unlisted, BlockLayout& layout) {
    layout.entry_offset = in.position();
    MFD_TRY(layout.idstr, in.take_str8({"Could not read the name of a ramblock", EINVAL}));
    if (const auto fault = name_fault(layout.idstr); !fault.empty())
        return format_error("Unknown ramblock \"" + printable(layout.idstr) +
                                "\", cannot accept migration: its name " + std::string(fault),
                            layout.entry_offset);
    const FileOffset length_at = in.position();
    const std::string cut = "Could not read the length of " + block_name(layout.idstr);
    MFD_TRY(layout.used_length, in.take_big<std::uint64_t>({cut, EINVAL}));
    if (layout.used_length == 0 || layout.used_length % kPageSize != 0)
        return format_error(block_name(layout.idstr) + " has length " + hex(layout.used_length) +
                                ", expected a positive multiple of 4096",
                            length_at);
    if (layout.used_length > unlisted)
        return format_error(block_name(layout.idstr) + " has length " + hex(layout.used_length) +
                                ", but only " + hex(unlisted) +
                                " bytes are left of the RAM section's total",
                            length_at);
    return {};
}

Result<wire::MappedRamHeader> decode_mapped_ram_header(StreamReader& in, std::string_view idstr) {
    const FileOffset at = in.position();
    const std::string cut =
        block_name(idstr) +
        ": Could not read whole mapped-ram migration header (expected 28, got " +
        std::to_string(in.left()) + " bytes)";
    MFD_TRY(const auto header, in.take<wire::MappedRamHeader>({cut, EINVAL}));
    if (header.version.get() != wire::kMappedRamVersion)
        // The number is signed in QEMU's text. It takes version 0 for 1; nobody writes that.
        return format_error(block_name(idstr) +
                                ": Migration mapped-ram capability version not "
                                "supported (expected <= 1, got " +
                                std::to_string(static_cast<std::int32_t>(header.version.get())) +
                                ")",
                            at);
    if (header.page_size.get() != kPageSize)
        return format_error(block_name(idstr) + ": mapped-ram page size is " +
                                std::to_string(header.page_size.get()) + ", expected 4096",
                            at + 4);
    return header;
}

// Where bitmap and pages are said to be. What lies between them and around them can then not
// overlap: header, bitmap, slots and whatever follows stand in this order.
Result<void> check_places(const StreamReader& in, const BlockLayout& layout) {
    const std::string name = block_name(layout.idstr);
    const FileOffset bitmap_field = layout.header_offset + 12;
    const FileOffset pages_field = layout.header_offset + 20;
    const auto bitmap_end = checked_add(layout.bitmap_offset.value, layout.bitmap_size());
    if (!bitmap_end || *bitmap_end > in.size())
        return format_error(name +
                                ": Error reading dirty bitmap, it would end past the end of the "
                                "file (bitmap offset " +
                                hex(layout.bitmap_offset.value) + ")",
                            bitmap_field);
    // Any other place is readable too, and whatever lies there would be taken for the bitmap.
    if (layout.bitmap_offset != layout.header_offset + sizeof(wire::MappedRamHeader))
        return format_error(name + ": bitmap offset is " + hex(layout.bitmap_offset.value) +
                                ", expected " +
                                hex(layout.header_offset.value + sizeof(wire::MappedRamHeader)),
                            bitmap_field);
    if (layout.pages_offset.value % kPageSize != 0)
        return format_error("Error reading " + name + " pages, region has bad alignment (offset " +
                                hex(layout.pages_offset.value) + ")",
                            pages_field);
    if (layout.pages_offset.value < *bitmap_end)
        return format_error(name + ": pages at " + hex(layout.pages_offset.value) +
                                " overlap the bitmap, which ends at " + hex(*bitmap_end),
                            pages_field);
    const auto slots_end = checked_add(layout.pages_offset.value, layout.used_length);
    if (!slots_end || *slots_end > in.size())
        return format_error(name + ": pages at " + hex(layout.pages_offset.value) + ", length " +
                                hex(layout.used_length) + ", end past the end of the file (" +
                                hex(in.size()) + ")",
                            pages_field);
    return {};
}

Result<void> decode_block(StreamReader& in, std::uint64_t unlisted, RamForm form,
                          DecodedStream& out, std::set<std::string>& names) {
    BlockLayout layout;
    MFD_CHECK(decode_entry(in, unlisted, layout));
    if (!names.insert(layout.idstr).second)
        return format_error(block_name(layout.idstr) + " is listed twice", layout.entry_offset);
    if (form == RamForm::Sequential) {
        out.blocks.push_back({layout, 0, kPageSize, PageBitmap()});
        return {};
    }
    layout.header_offset = in.position();
    MFD_TRY(const auto header, decode_mapped_ram_header(in, layout.idstr));
    layout.bitmap_offset = FileOffset(header.bitmap_offset.get());
    layout.pages_offset = FileOffset(header.pages_offset.get());
    out.blocks.push_back({layout, header.version.get(), header.page_size.get(), PageBitmap()});
    MFD_CHECK(check_places(in, layout));

    // From here on the length is no more than the file's and the limit on RAM.
    PageBitmap bitmap(layout.pages());
    const std::string cut = block_name(layout.idstr) + ": Error reading dirty bitmap";
    MFD_CHECK(in.read(bitmap.mutable_bytes(), {cut, EINVAL}));
    if (bitmap.has_stray_bits())
        return format_error(block_name(layout.idstr) +
                                ": bitmap has bits set past the last page (" +
                                std::to_string(layout.pages()) + " pages)",
                            layout.bitmap_offset + (bitmap.bytes().size() - 8));
    out.blocks.back().bitmap = std::move(bitmap);
    in.seek(layout.slots_end());
    return {};
}

Result<void> check_ram_flags(std::uint64_t word, std::uint64_t wanted, FileOffset at) {
    const std::uint64_t flags = word % kPageSize;
    if (const std::uint64_t unexpected = flags & wire::kRamFlagsUnexpected; unexpected != 0)
        return format_error("Unexpected RAM flags: " + std::to_string(unexpected), at);
    if (flags != wanted)
        return format_error("Unknown combination of migration flags: " + hex(flags), at);
    return {};
}

// What is wrong with `mark` in place of the RAM section's.
std::string wrong_first_section(std::uint8_t mark) {
    const auto is = [mark](wire::Mark known) { return mark == static_cast<std::uint8_t>(known); };
    if (is(wire::Mark::Eof))
        return "end mark where the RAM section should start: no RAM in this stream";
    if (is(wire::Mark::Part) || is(wire::Mark::End) || is(wire::Mark::Full) ||
        is(wire::Mark::Command))
        return "section of type " + std::to_string(mark) +
               " where the RAM section should start (type 1)";
    return "Unknown savevm section type " + std::to_string(mark);
}

Result<void> decode_ram_section_start(StreamReader& in, SectionInfo& section) {
    section.offset = in.position();
    constexpr WhenCut kNoSection{"the stream ends where its RAM section should start", EIO};
    MFD_TRY(const auto mark, in.take_big<std::uint8_t>(kNoSection));
    if (mark != static_cast<std::uint8_t>(wire::Mark::Start))
        return format_error(wrong_first_section(mark), section.offset);
    MFD_TRY(section.section_id,
            in.take_big<std::uint32_t>({"Unable to read the id of a section", EIO}));
    const std::string id_cut =
        "Unable to read ID string for section " + std::to_string(section.section_id);
    const FileOffset idstr_at = in.position();
    MFD_TRY(section.idstr, in.take_str8({id_cut, EINVAL}));
    constexpr WhenCut kVersionCut{"Unable to read instance and version of section ram", EINVAL};
    MFD_TRY(section.instance_id, in.take_big<std::uint32_t>(kVersionCut));
    const FileOffset version_at = in.position();
    MFD_TRY(section.version_id, in.take_big<std::uint32_t>(kVersionCut));
    if (section.idstr != wire::kRamIdstr || section.instance_id != 0)
        return format_error("Unknown savevm section or instance '" + printable(section.idstr) +
                                "' " + std::to_string(section.instance_id) +
                                ". Make sure that your current VM setup matches your saved VM "
                                "setup, including any hotplugged devices",
                            idstr_at);
    if (section.version_id > wire::kRamVersion)
        return format_error("savevm: unsupported version " + std::to_string(section.version_id) +
                                " for 'ram' v4",
                            version_at);
    if (section.version_id < wire::kRamVersion)
        return format_error("error while loading state for instance 0x0 of device 'ram': version " +
                                std::to_string(section.version_id) + ", expected 4",
                            version_at);
    section.body_offset = in.position();
    return {};
}

} // namespace

Result<void> decode_ram_eos(StreamReader& in) {
    const FileOffset at = in.position();
    MFD_TRY(const auto word, in.take_big<std::uint64_t>(kAddressCut));
    MFD_CHECK(check_ram_flags(word, wire::kRamFlagEos, at));
    if (word != wire::kRamFlagEos) // QEMU ignores the upper bits; nobody sets them
        return format_error("RAM section ends with word " + hex(word) + ", expected 0x10", at);
    return {};
}

Result<void> decode_footer(StreamReader& in, std::string_view idstr, std::uint32_t section_id) {
    const FileOffset at = in.position();
    const std::string name = printable(idstr);
    const std::string cut = "check_section_footer: Read section footer failed: -5 (" + name + ")";
    MFD_TRY(const auto mark, in.take_big<std::uint8_t>({cut, EINVAL}));
    if (mark != static_cast<std::uint8_t>(wire::Mark::Footer))
        return format_error("Missing section footer for " + name, at);
    MFD_TRY(const auto id, in.take_big<std::uint32_t>({cut, EINVAL}));
    if (id != section_id)
        return format_error("Mismatched section id in footer for " + name + " - read " + hex(id) +
                                " expected " + hex(section_id),
                            at + 1);
    return {};
}

Result<void> decode_ram_start(StreamReader& in, const DecodeLimits& limits, RamForm form,
                              DecodedStream& out) {
    SectionInfo section;
    MFD_CHECK(decode_ram_section_start(in, section));
    out.sections.push_back(section);

    MFD_TRY(const auto word, in.take_big<std::uint64_t>(kAddressCut));
    MFD_CHECK(check_ram_flags(word, wire::kRamFlagBlockList, section.body_offset));
    out.total_ram = word - wire::kRamFlagBlockList;
    if (out.total_ram > limits.ram_bytes)
        return format_error("RAM section announces " + hex(out.total_ram) +
                                " bytes of RAM, more than the limit of " + hex(limits.ram_bytes),
                            section.body_offset);
    std::set<std::string> names;
    for (std::uint64_t unlisted = out.total_ram; unlisted != 0;
         unlisted -= out.blocks.back().layout.used_length) {
        if (out.blocks.size() >= limits.blocks)
            return format_error("RAM section lists more than " + std::to_string(limits.blocks) +
                                    " blocks",
                                in.position());
        MFD_CHECK(decode_block(in, unlisted, form, out, names));
    }
    section.eos_offset = in.position();
    MFD_CHECK(decode_ram_eos(in));
    section.footer_offset = in.position();
    MFD_CHECK(decode_footer(in, wire::kRamIdstr, section.section_id));
    section.end = in.position();
    out.sections.back() = section;
    return {};
}

} // namespace mfd::decoding
