#include "qmp/utf8.hpp"

#include <array>

namespace mfd::qmp {

namespace {

constexpr std::uint32_t byte_at(std::string_view bytes, std::size_t index) {
    return static_cast<unsigned char>(bytes[index]);
}

} // namespace

bool is_character(std::uint32_t code_point) {
    const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
    const bool noncharacter =
        (code_point >= 0xFDD0 && code_point <= 0xFDEF) || (code_point & 0xFFFE) == 0xFFFE;
    return code_point <= 0x10FFFF && !surrogate && !noncharacter;
}

Utf8Step decode_utf8(std::string_view bytes) {
    const std::uint32_t lead = byte_at(bytes, 0);
    if (lead < 0x80)
        return {lead, 1};
    if (lead < 0xC0 || lead > 0xFD)
        return {std::nullopt, 1};
    // Leads of five and six bytes announce nothing that Unicode has, but their tail belongs to
    // them.
    const std::size_t length = lead < 0xE0   ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF8 ? 4
                               : lead < 0xFC ? 5
                                             : 6;
    std::uint32_t code_point = lead & (0x7FU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if (i >= bytes.size() || (byte_at(bytes, i) & 0xC0) != 0x80)
            return {std::nullopt, i};
        code_point = (code_point << 6) | (byte_at(bytes, i) & 0x3F);
    }
    constexpr std::array<std::uint32_t, 7> kSmallest{0,       0,        0x80,     0x800,
                                                     0x10000, 0x200000, 0x4000000};
    if (code_point < kSmallest.at(length) || !is_character(code_point))
        return {std::nullopt, length};
    return {code_point, length};
}

void append_utf8(std::string& out, std::uint32_t code_point) {
    const auto tail = [&](unsigned shift) {
        out.push_back(static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)));
    };
    if (code_point < 0x80) {
        out.push_back(static_cast<char>(code_point));
    } else if (code_point < 0x800) {
        out.push_back(static_cast<char>(0xC0 | (code_point >> 6)));
        tail(0);
    } else if (code_point < 0x10000) {
        out.push_back(static_cast<char>(0xE0 | (code_point >> 12)));
        tail(6);
        tail(0);
    } else {
        out.push_back(static_cast<char>(0xF0 | (code_point >> 18)));
        tail(12);
        tail(6);
        tail(0);
    }
}

} // namespace mfd::qmp
