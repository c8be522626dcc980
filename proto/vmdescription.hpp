// The vmdescription: a JSON text at the end of a stream. It alone says how long the body of each
// device section is, so a reader that wants to get past the devices has to understand that much of
// it. This is the one place in proto/ that knows JSON. It is read with a kept library's event
// parser: no tree is built, so memory stays bounded by the devices that are listed, whatever the
// text is.
#pragma once

#include "proto/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

struct DeviceDescription {
    std::string name; // the section's idstr
    std::uint32_t instance_id = 0;
    // Nothing of a device whose code writes its section by itself, as slirp's: the section alone
    // names its version.
    std::optional<std::uint32_t> version;
    std::uint64_t body_bytes = 0; // of the FULL section, subsections included
};

struct Vmdescription {
    bool lists_devices = false; // there is a "devices" array
    std::optional<std::uint64_t> page_size;
    std::vector<DeviceDescription> devices; // in the order of the FULL sections
};

// What `text` describes; an error (without a place: the caller knows it) if it is not JSON, nests
// deeper than QEMU's ever does, or contradicts the shape above.
Result<Vmdescription> parse_vmdescription(std::string_view text);

} // namespace mfd
