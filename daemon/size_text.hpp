// Sizes as people and management programs write them for QEMU: "512", "4k", "1.5G", "0x1000".
// Used for memory sizes on the command line and for the offset= of a file URI. Pure functions.
#pragma once

#include "proto/error.hpp"

#include <cstdint>
#include <string_view>

namespace mfd {

// The whole of `text` as a size in bytes: decimal with an optional unit (B K M G T P E in either
// case, powers of 1024; a fraction only with a unit other than B), or 0x and hexadecimal without a
// unit. Leading blanks and a plus sign are accepted as QEMU accepts them. Error::sys is EINVAL for
// what is no size at all and ERANGE for negative numbers and for 2^64 or more; Error::what is the
// text of that errno, since both callers print their own sentence around it.
[[nodiscard]] Result<std::uint64_t> parse_size_text(std::string_view text);

} // namespace mfd
