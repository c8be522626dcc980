// What this program says of its version.
#pragma once

namespace mfd {

inline constexpr const char* kVersionText = MFD_VERSION;

// query-version: the release of QEMU whose interface is spoken here. Clients decide by it which
// commands they may use.
inline constexpr int kQemuMajor = 10;
inline constexpr int kQemuMinor = 0;
inline constexpr int kQemuMicro = 0;

} // namespace mfd
