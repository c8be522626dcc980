// Numbers in error texts.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

namespace mfd {

// Hexadecimal without prefix and leading zeros.
inline std::string hex_text(std::uint64_t value) {
    std::array<char, 16> text{};
    const auto done = std::to_chars(text.data(), text.data() + text.size(), value, 16);
    return {text.data(), done.ptr};
}

} // namespace mfd
