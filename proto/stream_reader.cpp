#include "proto/stream_reader.hpp"

#include "proto/text.hpp"

#include <algorithm>
#include <cstring>

namespace mfd {

Error StreamReader::cut_error(const WhenCut& cut) const {
    return format_error(std::string(cut.text) + " (the file ends at " + hex(size_) + ")", position_,
                        cut.sys);
}

Result<void> StreamReader::read(std::span<std::byte> into, const WhenCut& cut) {
    if (into.empty())
        return {};
    if (into.size() > left())
        return cut_error(cut);
    if (into.size() > kWindowBytes) {
        MFD_CHECK(source_.read_at(position_, into));
        position_ = position_ + into.size();
        return {};
    }
    const bool inside = position_ >= window_at_ &&
                        position_.value + into.size() <= window_at_.value + window_bytes_;
    if (!inside) {
        window_bytes_ = 0; // nothing valid if the read below fails
        const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(kWindowBytes, left()));
        MFD_CHECK(source_.read_at(position_, std::span(window_).first(bytes)));
        window_at_ = position_;
        window_bytes_ = bytes;
    }
    std::memcpy(into.data(), window_.data() + (position_.value - window_at_.value), into.size());
    position_ = position_ + into.size();
    return {};
}

Result<std::string> StreamReader::take_str8(const WhenCut& cut) {
    const FileOffset before = position_;
    MFD_TRY(const auto length, take_big<std::uint8_t>(cut));
    std::string text(length, '\0');
    auto filled = read(std::as_writable_bytes(std::span(text)), cut);
    if (!filled.has_value()) {
        seek(before);
        return std::move(filled).error();
    }
    return text;
}

} // namespace mfd
