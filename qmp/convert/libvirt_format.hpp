// The one field of a libvirt save image's header that depends on the stream behind it.
#pragma once

#include <cstdint>
#include <span>

namespace mfd::convert {

enum class LibvirtFormat : std::uint32_t {
    Raw = 0,
    Sparse = 6, // mapped-ram
};

// `header`: a whole one, as Input found it. All other fields stay: the stream begins where it did,
// since the room for the domain's XML does not change.
void set_libvirt_format(std::span<std::byte> header, LibvirtFormat format);

} // namespace mfd::convert
