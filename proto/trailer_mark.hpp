// The member of a vmdescription that ties a stream to the trailer behind it:
//
//     ..., "x-multifdd": {"checksums": "0123456789abcdef"}}
//
// It is the last member, written exactly so; QEMU reads past it. A trailer that an older and longer
// stream left behind does not have the number named here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mfd {

// The number of the stream's trailer; nothing if the text names none.
[[nodiscard]] std::optional<std::uint64_t> trailer_id(std::string_view vmdescription);

// The text, a JSON object, without the member. What never had one stays as it is.
[[nodiscard]] std::string without_trailer_id(std::string_view vmdescription);

// The text with this number and no other. An empty text stays empty.
[[nodiscard]] std::string with_trailer_id(std::string_view vmdescription, std::uint64_t id);

// Where in the text the one byte is that, made kNoTrailer, leaves JSON that names no trailer: a
// change that is there or not, whenever a writer dies. Nothing if the text names none.
inline constexpr char kNoTrailer = '#';
[[nodiscard]] std::optional<std::size_t> trailer_switch(std::string_view vmdescription);

} // namespace mfd
