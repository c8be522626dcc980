#include "qmp/files/hex_dump.hpp"

#include <algorithm>
#include <string_view>

namespace mfd::files {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string place(std::uint64_t at) {
    constexpr std::size_t kFewestDigits = 8;
    std::string text;
    for (; at != 0 || text.size() < kFewestDigits; at >>= 4)
        text.push_back(kHexDigits[at & 15]);
    std::ranges::reverse(text);
    return text;
}

} // namespace

std::string HexDump::add(std::span<const std::byte> bytes) {
    std::string out;
    for (; bytes.size() >= kLineBytes; bytes = bytes.subspan(kLineBytes)) {
        Line line{};
        std::ranges::copy(bytes.first(kLineBytes), line.begin());
        add_line(line, out);
    }
    return out;
}

std::string HexDump::add_zeros(std::uint64_t bytes) {
    std::string out;
    // Two lines say it all, and the first may be what was there before.
    const std::uint64_t shown = std::min<std::uint64_t>(bytes, 2 * kLineBytes);
    for (std::uint64_t done = 0; done < shown; done += kLineBytes)
        add_line(Line{}, out);
    at_ += bytes - shown;
    return out;
}

std::string HexDump::end() const {
    return place(at_) + "\n";
}

void HexDump::add_line(const Line& line, std::string& out) {
    if (last_ == line) {
        if (!starred_)
            out += "*\n";
        starred_ = true;
        at_ += kLineBytes;
        return;
    }
    last_ = line;
    starred_ = false;
    out += place(at_) + " ";
    for (std::size_t i = 0; i < kLineBytes; ++i) {
        const auto byte = std::to_integer<unsigned>(line.at(i));
        out += i == kLineBytes / 2 ? "  " : " ";
        out += kHexDigits[byte >> 4];
        out += kHexDigits[byte & 15];
    }
    out += "  |";
    for (const std::byte byte : line) {
        const auto c = std::to_integer<char>(byte);
        out += c >= 0x20 && c < 0x7f ? c : '.';
    }
    out += "|\n";
    at_ += kLineBytes;
}

} // namespace mfd::files
