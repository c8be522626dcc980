#include "qmp/convert/libvirt_format.hpp"

#include <cstddef>
#include <cstring>

namespace mfd::convert {

namespace {

constexpr std::size_t kVersionAt = 16;
constexpr std::size_t kFormatAt = 28;
constexpr std::uint32_t kVersionMax = 2;

} // namespace

void set_libvirt_format(std::span<std::byte> header, LibvirtFormat format) {
    std::uint32_t version = 0;
    std::memcpy(&version, header.data() + kVersionAt, sizeof(version));
    auto value = static_cast<std::uint32_t>(format);
    // In the byte order of the host that wrote it; libvirt tells it by the version.
    if (version > kVersionMax)
        value = __builtin_bswap32(value);
    std::memcpy(header.data() + kFormatAt, &value, sizeof(value));
}

} // namespace mfd::convert
