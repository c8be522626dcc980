// The migration capabilities: QEMU's full list, which combinations are refused, and which of them
// multifdd can act on. Control thread only.
#pragma once

#include "proto/error.hpp"

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace mfd {

enum class Capability : std::uint8_t {
    Xbzrle,
    RdmaPinAll,
    AutoConverge,
    ZeroBlocks,
    Events,
    PostcopyRam,
    XColo,
    ReleaseRam,
    ReturnPath,
    PauseBeforeSwitchover,
    Multifd,
    DirtyBitmaps,
    PostcopyBlocktime,
    LateBlockActivate,
    XIgnoreShared,
    ValidateUuid,
    BackgroundSnapshot,
    ZeroCopySend,
    PostcopyPreempt,
    SwitchoverAck,
    DirtyLimit,
    MappedRam,
};

inline constexpr std::size_t kCapabilityCount = 22;

struct CapabilityInfo {
    std::string_view name;
    std::string_view doc;
    // Empty, or why a save or load with this capability on is refused here.
    std::string_view refusal;
};

// In QEMU's order; indexed by Capability.
[[nodiscard]] std::span<const CapabilityInfo, kCapabilityCount> capability_table();

class Capabilities {
public:
    using Change = std::pair<Capability, bool>;

    [[nodiscard]] bool has(Capability capability) const {
        return on_[static_cast<std::size_t>(capability)];
    }

    // Applies the changes in order, all or none. `compressed` and `tls`: are those parameters set?
    // The texts of refusals are QEMU's.
    Result<void> apply(std::span<const Change> changes, bool compressed, bool tls);

    // Can multifdd act on everything that is on?
    [[nodiscard]] Result<void> check_supported() const;

private:
    std::bitset<kCapabilityCount> on_;
};

} // namespace mfd
