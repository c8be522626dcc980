#include "qmp/files/stream_search.hpp"

#include "proto/byte_cursor.hpp"
#include "proto/text.hpp"
#include "proto/wire.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace mfd::files {

namespace {

constexpr std::string_view kMagicComplete = "LibvirtQemudSave";
constexpr std::string_view kMagicPartial = "LibvirtQemudPart";
constexpr std::uint32_t kLibvirtVersionMax = 2;
constexpr std::uint32_t kXmlBytesMax = 1U << 20; // chosen: what is kept of it, for showing

// As it stands in the file, in the writing host's byte order.
struct RawLibvirtHeader {
    std::array<char, 16> magic;
    std::uint32_t version;
    std::uint32_t data_bytes;
    std::uint32_t was_running;
    std::uint32_t format;
    std::uint32_t cookie_offset;
    std::array<std::uint32_t, 14> unused;
};
static_assert(sizeof(RawLibvirtHeader) == 92);

constexpr std::array<const char*, 7> kFormatNames = {"raw",  "gzip", "bzip2", "xz",
                                                     "lzop", "zstd", "sparse"};

bool in_file(const ByteSource& source, FileOffset at, std::uint64_t bytes) {
    return at.value <= source.size() && bytes <= source.size() - at.value;
}

Result<bool> has_magic_at(ByteSource& source, FileOffset at) {
    std::array<std::byte, sizeof(std::uint32_t)> bytes{};
    if (!in_file(source, at, bytes.size()))
        return false;
    MFD_CHECK(source.read_at(at, bytes));
    return ByteCursor(bytes).take_big<std::uint32_t>() == wire::kMagic;
}

Result<std::optional<LibvirtHeader>> read_libvirt_header(ByteSource& source) {
    RawLibvirtHeader raw{};
    if (!in_file(source, FileOffset(0), sizeof(raw)))
        return std::optional<LibvirtHeader>();
    MFD_CHECK(source.read_at(FileOffset(0), std::as_writable_bytes(std::span(&raw, 1))));
    const std::string_view magic(raw.magic.data(), raw.magic.size());
    if (magic != kMagicComplete && magic != kMagicPartial)
        return std::optional<LibvirtHeader>();
    // libvirt's own rule for images of hosts with the other byte order.
    const bool swap = raw.version > kLibvirtVersionMax;
    const auto number = [swap](std::uint32_t value) {
        return swap ? __builtin_bswap32(value) : value;
    };
    LibvirtHeader header;
    header.complete = magic == kMagicComplete;
    header.version = number(raw.version);
    header.data_bytes = number(raw.data_bytes);
    header.was_running = raw.was_running != 0;
    header.format = number(raw.format);
    header.cookie_offset = number(raw.cookie_offset);
    if (header.version > kLibvirtVersionMax)
        return Error{Errc::Unsupported,
                     "a libvirt save image of version " + std::to_string(header.version) +
                         " is not known here; give the stream's place with --offset",
                     ENOTSUP};
    const FileOffset xml_at(sizeof(raw));
    if (!in_file(source, xml_at, header.data_bytes))
        return format_error("the libvirt header announces " + std::to_string(header.data_bytes) +
                                " bytes, which end past the end of the file",
                            FileOffset(20));
    header.xml.resize(std::min(header.data_bytes, kXmlBytesMax));
    MFD_CHECK(source.read_at(xml_at, std::as_writable_bytes(std::span(header.xml))));
    header.xml.resize(std::min(header.xml.size(), header.xml.find('\0')));
    return std::optional(std::move(header));
}

// The stream follows the header at once; writers that align it to what direct I/O or mapped-ram
// want are found as well.
Result<StreamPlace> behind_libvirt_header(ByteSource& source, LibvirtHeader header) {
    const FileOffset next(sizeof(RawLibvirtHeader) + header.data_bytes);
    StreamPlace place{next, std::move(header), false};
    for (const std::uint64_t unit : {std::uint64_t{1}, kPageSize, wire::kPageAreaAlignment}) {
        const FileOffset at((next.value + unit - 1) / unit * unit);
        MFD_TRY(const bool found, has_magic_at(source, at));
        if (found) {
            place.offset = at;
            place.has_magic = true;
            break;
        }
    }
    return place;
}

} // namespace

std::string LibvirtHeader::format_name() const {
    return format < kFormatNames.size() ? kFormatNames.at(format)
                                        : "format " + std::to_string(format);
}

Result<StreamPlace> find_stream(ByteSource& source, std::optional<std::uint64_t> offset) {
    MFD_TRY(const bool here, has_magic_at(source, FileOffset(offset.value_or(0))));
    if (here || offset)
        return StreamPlace{FileOffset(offset.value_or(0)), std::nullopt, here};
    MFD_TRY(auto header, read_libvirt_header(source));
    if (header)
        return behind_libvirt_header(source, std::move(*header));
    return StreamPlace{FileOffset(0), std::nullopt, false};
}

} // namespace mfd::files
