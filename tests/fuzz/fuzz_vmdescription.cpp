// Any bytes as a vmdescription.
#include "proto/vmdescription.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

// libFuzzer's name. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto parsed =
        mfd::parse_vmdescription(std::string_view(reinterpret_cast<const char*>(data), size));
    if (!parsed.has_value())
        return 0;
    if (!parsed->lists_devices && !parsed->devices.empty())
        std::abort();
    for (const mfd::DeviceDescription& device : parsed->devices)
        if (device.name.empty())
            std::abort();
    return 0;
}
