#include "proto/decode_steps.hpp"
#include "proto/text.hpp"
#include "proto/wire.hpp"

#include <algorithm>
#include <cstring>
#include <span>

namespace mfd::decoding {

namespace {

constexpr std::size_t kHeadBytes = 1 + 4;  // marker and length
constexpr std::uint64_t kShortestText = 2; // "{}"
constexpr std::size_t kChunkBytes = 65536;
constexpr std::uint64_t kSectionFrameBytes = 512; // more than any section has around its body

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

VmdescriptionSearch::VmdescriptionSearch(StreamReader& in, FileOffset from,
                                         const DecodeLimits& limits)
    : in_(in), limits_(limits), at_(from) {
    // What may stand between here and the marker: device state, its framing, empty RAM sections.
    const std::uint64_t range = limits.device_state_bytes + limits.sections * kSectionFrameBytes;
    in_.seek(from);
    end_ = from + std::min(range, in_.left());
}

Result<std::optional<FoundVmdescription>> VmdescriptionSearch::try_at(FileOffset place) {
    auto found = read_vmdescription(in_, place, limits_);
    parsed_bytes_ += in_.position().value - place.value;
    if (!found.has_value()) {
        // Anything may look like one from afar; only a source that cannot be read ends the search.
        if (found.error().code != Errc::BadFormat)
            return std::move(found).error();
        return std::optional<FoundVmdescription>();
    }
    if (!found->parsed.lists_devices)
        return std::optional<FoundVmdescription>();
    ++found_;
    return std::optional(std::move(*found));
}

// Bytes from at_ on, at least a whole head of them; fewer only at the end of the source.
Result<std::span<const std::byte>> VmdescriptionSearch::ahead() {
    const std::uint64_t offset = at_.value - chunk_at_.value;
    if (at_ < chunk_at_ || offset + kHeadBytes >= chunk_.size()) {
        in_.seek(at_);
        chunk_at_ = at_;
        chunk_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, in_.left())));
        MFD_CHECK(in_.read(chunk_, {"search the vmdescription", EIO}));
    }
    return std::span<const std::byte>(chunk_).subspan(at_.value - chunk_at_.value);
}

Result<std::optional<FoundVmdescription>> VmdescriptionSearch::next() {
    const std::uint64_t parse_limit = kMaxParsedTexts * limits_.vmdescription_bytes;
    while (at_ < end_ && found_ < kMaxFound && parsed_bytes_ < parse_limit) {
        MFD_TRY(const auto bytes, ahead());
        if (bytes.size() <= kHeadBytes)
            break;
        // The last bytes are too few to judge; the next chunk begins with them.
        const auto starts = bytes.first(bytes.size() - kHeadBytes);
        const auto marker = std::find(starts.begin(), starts.end(),
                                      static_cast<std::byte>(wire::Mark::Vmdescription));
        const auto index = static_cast<std::size_t>(marker - starts.begin());
        const FileOffset place = at_ + index;
        if (marker == starts.end()) {
            at_ = place;
            continue;
        }
        at_ = place + 1;
        if (!looks_like_vmdescription(bytes.subspan(index, kHeadBytes + 1),
                                      in_.size() - place.value, limits_))
            continue;
        MFD_TRY(auto found, try_at(place));
        if (found)
            return found;
    }
    return std::optional<FoundVmdescription>();
}

} // namespace mfd::decoding
