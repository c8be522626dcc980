#include "proto/decode_steps.hpp"
#include "proto/text.hpp"
#include "proto/wire.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace mfd::decoding {

namespace {

constexpr std::size_t kHeadBytes = 1 + 4;  // marker and length
constexpr std::uint64_t kShortestText = 2; // "{}"
constexpr std::size_t kChunkBytes = 64 * 1024;

// Chosen: what a hostile file can make us do beyond one parse and one walk. QEMU's files have one
// place that looks like a vmdescription.
constexpr std::size_t kMaxFound = 4;
constexpr std::uint64_t kMaxParsedTexts = 4; // in units of the limit on one text

// Could the marker be here? `head` has marker, length and the text's first byte.
bool looks_like_vmdescription(std::span<const std::byte> head, std::uint64_t left,
                              const DecodeLimits& limits) {
    if (head[kHeadBytes] != static_cast<std::byte>('{'))
        return false;
    Big<std::uint32_t> length;
    std::memcpy(&length, head.data() + 1, sizeof(length));
    return length.get() >= kShortestText && length.get() <= limits.vmdescription_bytes &&
           length.get() <= left - kHeadBytes;
}

} // namespace

Result<FoundVmdescription> read_vmdescription(StreamReader& in, FileOffset at,
                                              const DecodeLimits& limits) {
    constexpr WhenCut kCut{"vmdescription ends past the end of the file", EIO};
    in.seek(at + 1);
    MFD_TRY(const auto length, in.take_big<std::uint32_t>(kCut));
    if (length > in.left())
        return in.cut_error(kCut);
    if (length > limits.vmdescription_bytes)
        return format_error("vmdescription of " + std::to_string(length) +
                                " bytes is longer than the limit of " +
                                std::to_string(limits.vmdescription_bytes),
                            at + 1);
    FoundVmdescription found;
    found.at = at;
    found.text.resize(length);
    MFD_CHECK(in.read(std::as_writable_bytes(std::span(found.text)), kCut));
    auto parsed = parse_vmdescription(found.text);
    if (!parsed.has_value())
        return format_error(parsed.error().what, at);
    if (parsed->page_size.value_or(kPageSize) != kPageSize)
        return format_error("vmdescription names page size " + std::to_string(*parsed->page_size) +
                                ", expected 4096",
                            at);
    found.parsed = std::move(*parsed);
    return found;
}

Result<std::vector<FoundVmdescription>> find_vmdescriptions(StreamReader& in, FileOffset from,
                                                            const DecodeLimits& limits) {
    std::vector<FoundVmdescription> all;
    // What may stand between here and the marker: device state, its framing, empty RAM sections.
    const std::uint64_t range = limits.device_state_bytes + limits.sections * 512;
    in.seek(from);
    const FileOffset end = from + std::min(range, in.left());
    const std::uint64_t parse_limit = kMaxParsedTexts * limits.vmdescription_bytes;
    std::uint64_t parsed_bytes = 0;

    std::vector<std::byte> chunk(kChunkBytes);
    for (FileOffset at = from; at < end && all.size() < kMaxFound && parsed_bytes < parse_limit;) {
        in.seek(at);
        const auto bytes =
            static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, in.left()));
        if (bytes <= kHeadBytes)
            break;
        MFD_CHECK(in.read(std::span(chunk).first(bytes), {"search the vmdescription", EIO}));
        // The last bytes are too few to judge; the next chunk begins with them.
        const std::size_t starts = bytes - kHeadBytes;
        for (std::size_t i = 0; i < starts; ++i) {
            const void* const marker = std::memchr(
                chunk.data() + i, static_cast<int>(wire::Mark::Vmdescription), starts - i);
            if (marker == nullptr)
                break;
            i = static_cast<std::size_t>(static_cast<const std::byte*>(marker) - chunk.data());
            const FileOffset place = at + i;
            if (!looks_like_vmdescription(std::span(chunk).subspan(i, kHeadBytes + 1),
                                          in.size() - place.value, limits))
                continue;
            auto found = read_vmdescription(in, place, limits);
            parsed_bytes += in.position().value - place.value;
            if (found.has_value() && found->parsed.lists_devices)
                all.push_back(std::move(*found));
            else if (!found.has_value() && found.error().code == Errc::Io)
                return std::move(found).error();
            if (all.size() == kMaxFound || parsed_bytes >= parse_limit)
                break;
        }
        at = at + starts;
    }
    return all;
}

} // namespace mfd::decoding
