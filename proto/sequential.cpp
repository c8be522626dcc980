#include "proto/sequential.hpp"

#include "proto/decode_steps.hpp"
#include "proto/span_source.hpp"
#include "proto/text.hpp"
#include "proto/wire.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

namespace {

constexpr WhenCut kStreamCut{"the stream ends inside the RAM section: not a finished save", EIO};

// Chosen: the early sections there are (virtio-mem) have a few hundred bytes.
constexpr std::size_t kEarlyDeviceMaxBytes = std::size_t{1} << 20;

// A flag of a page's word that says that the page is not simply there.
struct ForeignFlag {
    std::uint64_t flag;
    std::string_view what;
};
constexpr std::array<ForeignFlag, 6> kForeignFlags{{
    {0x001, "pages of a QEMU before 0.12"},
    {wire::kRamFlagBlockList, "a second list of blocks"},
    {0x040, "pages sent with the capability xbzrle"},
    {0x080, "pages sent over RDMA"},
    {0x100, "pages sent with the capability compress"},
    {0x200, "pages sent with the capability multifd, which travel beside this stream"},
}};

Error foreign_flags(std::uint64_t flags, FileOffset at) {
    for (const ForeignFlag& foreign : kForeignFlags)
        if ((flags & foreign.flag) != 0)
            return Error{Errc::Unsupported,
                         "RAM flags " + hex(flags) + ", at " + hex(at.value) + ": " +
                             std::string(foreign.what) +
                             ", which cannot be converted; save again without",
                         ENOTSUP};
    return format_error("Unknown combination of migration flags: " + hex(flags), at);
}

class SequentialDecoder {
public:
    SequentialDecoder(ByteStream& in, RamSink& sink, const DecodeLimits& limits)
        : in_(in), sink_(sink), limits_(limits) {}

    Result<SequentialStream> run() {
        MFD_CHECK(head());
        while (!ended_)
            MFD_CHECK(section());
        MFD_CHECK(rest());
        return SequentialStream{std::move(head_.configuration),
                                {std::move(head_.early_devices), head_.switchover_start,
                                 std::move(head_.devices), std::move(head_.vmdescription)},
                                head_.part_sections,
                                head_.end.value};
    }

private:
    // Up to the first section behind the list of blocks.
    Result<void> head() {
        const std::uint64_t at = in_.position();
        MFD_TRY(const auto bytes, in_.peek(ByteStream::kMaxPeek));
        SpanSource source(FileOffset(at), bytes);
        StreamReader reader(source, FileOffset(at));
        head_.stream_offset = FileOffset(at);
        MFD_CHECK(decoding::decode_configuration(reader, {}, RamForm::Sequential, head_));
        MFD_CHECK(decoding::decode_ram_start(reader, limits_, RamForm::Sequential, head_));
        in_.skip(static_cast<std::size_t>(reader.position().value - at));
        GuestHead guest{head_.configuration, {}};
        for (const DecodedBlock& block : head_.blocks) {
            blocks_.emplace(block.layout.idstr, guest.blocks.size());
            guest.blocks.push_back({block.layout.idstr, block.layout.used_length});
        }
        return sink_.begin(guest);
    }

    // One section up to the RAM section's END. What is not pages goes to frames_, which then holds
    // what a mapped-ram stream has behind its START.
    Result<void> section() {
        const FileOffset at(in_.position());
        constexpr WhenCut kCut{"the stream ends where a section should start: not a finished save",
                               EIO};
        if (++sections_ > limits_.sections)
            return format_error(
                "stream has more than " + std::to_string(limits_.sections) + " sections", at);
        MFD_TRY(const auto mark, take_big<std::uint8_t>(kCut));
        const auto is = [mark = mark](wire::Mark known) {
            return mark == static_cast<std::uint8_t>(known);
        };
        if (is(wire::Mark::Part) || is(wire::Mark::End))
            return ram_section(at, mark);
        if (is(wire::Mark::Command))
            return command(at);
        if (is(wire::Mark::Full))
            return early_device(at);
        if (is(wire::Mark::Eof))
            return format_error("end mark without an END of the RAM section: not a finished save",
                                at);
        if (is(wire::Mark::Start))
            return other_start(at);
        return format_error("Unknown savevm section type " + std::to_string(mark), at);
    }

    Result<void> ram_section(FileOffset at, std::uint8_t mark) {
        MFD_TRY(const auto id, take_big<std::uint32_t>(kStreamCut));
        const std::uint32_t ram_id = head_.sections.front().section_id;
        if (id != ram_id)
            return format_error("Unknown savevm section " + std::to_string(id), at + 1);
        bool more = true;
        while (more) {
            MFD_TRY(more, page());
        }
        const FileOffset footer_at(in_.position());
        MFD_TRY(const auto footer, take_big<std::uint8_t>(kStreamCut));
        if (footer != static_cast<std::uint8_t>(wire::Mark::Footer))
            return format_error("Missing section footer for ram", footer_at);
        MFD_TRY(const auto footer_id, take_big<std::uint32_t>(kStreamCut));
        if (footer_id != ram_id)
            return format_error("Mismatched section id in footer for ram - read " + hex(footer_id) +
                                    " expected " + hex(ram_id),
                                footer_at + 1);
        ended_ = mark == static_cast<std::uint8_t>(wire::Mark::End);
        frames_.put_big(mark).put_big(id).put_big(wire::kRamFlagEos);
        frames_.put_big(footer).put_big(footer_id);
        return {};
    }

    // One word with what belongs to it; false for the one that ends the section.
    Result<bool> page() {
        const FileOffset at(in_.position());
        MFD_TRY(const auto word, take_big<std::uint64_t>(kStreamCut));
        if (word == wire::kRamFlagEos)
            return false;
        const std::uint64_t flags = word % kPageSize;
        const std::uint64_t kind = flags & ~wire::kRamFlagContinue;
        if (kind != wire::kRamFlagZeroPage && kind != wire::kRamFlagPage)
            return foreign_flags(flags, at);
        MFD_CHECK(pick_block(at, (flags & wire::kRamFlagContinue) != 0));
        const BlockLayout& layout = head_.blocks[block_].layout;
        const std::uint64_t page = word / kPageSize;
        if (page >= layout.pages())
            return format_error("Illegal RAM offset " + hex(page * kPageSize) + " in ramblock " +
                                    printable(layout.idstr) + " of " + hex(layout.used_length) +
                                    " bytes",
                                at);
        if (kind == wire::kRamFlagZeroPage) {
            MFD_TRY(const auto fill, take_big<std::uint8_t>(kStreamCut));
            if (fill != 0)
                return format_error("Found a zero page with value " + std::to_string(fill),
                                    FileOffset(in_.position() - 1));
            MFD_CHECK(sink_.zero_pages(block_, {page, 1}));
            return true;
        }
        MFD_TRY(const auto bytes, take_span(kPageSize, kStreamCut));
        MFD_CHECK(sink_.pages(block_, {page, 1}, bytes));
        return true;
    }

    Result<void> pick_block(FileOffset at, bool same_as_before) {
        if (same_as_before) {
            if (!has_block_)
                return format_error("Ack, bad migration stream! The first page names no ramblock",
                                    at);
            return {};
        }
        MFD_TRY(const auto length, take_big<std::uint8_t>(kStreamCut));
        MFD_TRY(const auto bytes, take_span(length, kStreamCut));
        // The bytes are borrowed from the stream only until it is asked for more.
        const std::string name(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        const auto found = blocks_.find(name);
        if (found == blocks_.end())
            return format_error("Can't find block " + printable(name), at);
        block_ = found->second;
        has_block_ = true;
        return {};
    }

    Result<void> command(FileOffset at) {
        MFD_TRY(const auto number, take_big<std::uint16_t>(kStreamCut));
        MFD_TRY(const auto length, take_big<std::uint16_t>(kStreamCut));
        if (number != wire::kCommandSwitchoverStart)
            return Error{Errc::Unsupported,
                         "MIG_CMD " + hex(number) + " (len " + hex(length) + "), at " +
                             hex(at.value) +
                             ": a stream that wants answers (postcopy, return-path) or is not "
                             "known here; save again without these capabilities",
                         ENOTSUP};
        frames_.put_big(static_cast<std::uint8_t>(wire::Mark::Command));
        frames_.put_big(number).put_big(length);
        return {}; // a length that is wrong is refused with the rest
    }

    // A device that is loaded before the pages. How long it is stands in the vmdescription, at the
    // end of the stream: here it ends at the first footer of its own behind which a section can
    // begin. rest() refuses the stream if the vmdescription knows otherwise.
    Result<void> early_device(FileOffset at) {
        MFD_TRY(const auto bytes, in_.peek(kEarlyDeviceMaxBytes));
        constexpr std::size_t kFooter = wire::kFooterBytes;
        if (bytes.size() < sizeof(std::uint32_t))
            return cut_error(kStreamCut);
        ByteWriter wanted;
        wanted.put_big(static_cast<std::uint8_t>(wire::Mark::Footer));
        wanted.put_bytes(bytes.first(sizeof(std::uint32_t)));
        const auto footer = wanted.take_all();
        for (auto from = bytes.begin();; ++from) {
            from = std::search(from, bytes.end(), footer.begin(), footer.end());
            if (bytes.end() - from < static_cast<std::ptrdiff_t>(kFooter + 1))
                return format_error(
                    "a device section in front of the RAM has no end in reach (limit of " +
                        std::to_string(kEarlyDeviceMaxBytes) + " bytes)",
                    at);
            const auto length = static_cast<std::size_t>(from - bytes.begin()) + kFooter;
            if (!can_begin_section(bytes.subspan(length)))
                continue;
            frames_.put_big(static_cast<std::uint8_t>(wire::Mark::Full));
            frames_.put_bytes(bytes.first(length));
            in_.skip(length);
            return {};
        }
    }

    [[nodiscard]] bool can_begin_section(std::span<const std::byte> bytes) const {
        ByteCursor cursor(bytes);
        const auto mark = cursor.take_big<std::uint8_t>();
        const auto is = [mark](wire::Mark known) {
            return mark == static_cast<std::uint8_t>(known);
        };
        if (is(wire::Mark::Part) || is(wire::Mark::End))
            return cursor.take_big<std::uint32_t>() == head_.sections.front().section_id;
        return is(wire::Mark::Full) || is(wire::Mark::Command);
    }

    Result<void> other_start(FileOffset at) {
        MFD_TRY(const auto id, take_big<std::uint32_t>(kStreamCut));
        MFD_TRY(const auto length, take_big<std::uint8_t>(kStreamCut));
        MFD_TRY(const auto bytes, take_span(length, kStreamCut));
        const std::string name(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return Error{Errc::Unsupported,
                     "section " + std::to_string(id) + " '" + printable(name) + "', at " +
                         hex(at.value) + ": iterable sections other than ram are not supported",
                     ENOTSUP};
    }

    // Everything behind END, with the frames of what came before it: the vmdescription is the last
    // of it and says how long the devices are.
    Result<void> rest() {
        // Whatever follows the stream in its file is read as well, up to here.
        const std::uint64_t limit =
            frames_.size() + limits_.device_state_bytes + limits_.vmdescription_bytes;
        while (frames_.size() < limit) {
            MFD_TRY(const auto bytes, in_.peek(1));
            if (bytes.empty())
                break;
            frames_.put_bytes(bytes);
            in_.skip(bytes.size());
        }
        const auto all = frames_.take_all();
        // So that what stands behind END has the place in errors that it has in the stream.
        const std::uint64_t at = in_.position() - all.size();
        SpanSource source(FileOffset(at), all);
        StreamReader reader(source, FileOffset(at));
        MFD_CHECK(decoding::decode_rest(reader, limits_, head_));
        head_.end = reader.position();
        return {};
    }

    [[nodiscard]] Error cut_error(const WhenCut& cut) const {
        return format_error(std::string(cut.text), FileOffset(in_.position()), cut.sys);
    }
    Result<std::span<const std::byte>> take_span(std::size_t count, const WhenCut& cut) {
        MFD_TRY(const auto bytes, in_.peek(count));
        if (bytes.size() < count)
            return cut_error(cut);
        in_.skip(count);
        return bytes.first(count);
    }
    template <std::unsigned_integral T>
    Result<T> take_big(const WhenCut& cut) {
        MFD_TRY(const auto bytes, take_span(sizeof(T), cut));
        return *ByteCursor(bytes).take_big<T>();
    }

    ByteStream& in_;
    RamSink& sink_;
    const DecodeLimits& limits_;
    DecodedStream head_;
    std::map<std::string, std::size_t, std::less<>> blocks_;
    std::size_t block_ = 0; // of the last page
    bool has_block_ = false;
    bool ended_ = false;
    std::uint64_t sections_ = 0;
    ByteWriter frames_;
};

} // namespace

bool begins_mapped_ram(std::span<const std::byte> bytes) {
    SpanSource source(FileOffset(0), bytes);
    StreamReader reader(source, FileOffset(0));
    DecodedStream out;
    return decoding::decode_configuration(reader, {}, RamForm::Mapped, out).has_value();
}

Result<SequentialStream> decode_sequential(ByteStream& in, RamSink& sink,
                                           const DecodeLimits& limits) {
    return SequentialDecoder(in, sink, limits).run();
}

void put_page_word(ByteWriter& out, PageIndex page, PageKind kind, NamesBlock names,
                   std::string_view idstr) {
    const bool zero = kind == PageKind::Zero;
    const bool named = names == NamesBlock::Yes;
    out.put_big(page.value * kPageSize | (zero ? wire::kRamFlagZeroPage : wire::kRamFlagPage) |
                (named ? 0 : wire::kRamFlagContinue));
    if (named)
        out.put_str8(idstr);
    if (zero)
        out.put_big(std::uint8_t{0});
}

void put_part_begin(ByteWriter& out) {
    out.put_big(static_cast<std::uint8_t>(wire::Mark::Part)).put_big(wire::kRamSectionId);
}

void put_part_end(ByteWriter& out) {
    out.put_big(wire::kRamFlagEos);
    out.put_big(static_cast<std::uint8_t>(wire::Mark::Footer)).put_big(wire::kRamSectionId);
}

} // namespace mfd
