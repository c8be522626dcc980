// Reading and writing UTF-8 one character at a time, and what of it QEMU takes as a character: no
// surrogates, no noncharacters. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mfd::qmp {

// A character: up to U+10FFFF, not a surrogate, not U+FDD0..U+FDEF, not U+xxFFFE or U+xxFFFF.
bool is_character(std::uint32_t code_point);

struct Utf8Step {
    std::optional<std::uint32_t> code_point; // nothing: these bytes are not a character
    std::size_t length = 1;                  // bytes to go on by
};

// Decodes at the start of `bytes`, which must not be empty. Of ill-formed input the lead byte and
// those continuation bytes that it announces count as one.
Utf8Step decode_utf8(std::string_view bytes);

void append_utf8(std::string& out, std::uint32_t code_point);

} // namespace mfd::qmp
