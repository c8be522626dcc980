// The states of a migration and of the guest, with QEMU's names for them.
//
// Migration:   none -> setup -> active -> [pre-switchover ->] device -> completed
//              any of these but none and completed -> failed, or -> cancelling -> cancelled
//              (-> completed where the cancel came after the file was complete)
//              (a load knows only none -> setup -> active -> completed or failed).
// Guest:       see RunStatus. Both are changed on the control thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mfd {

enum class MigrationStatus : std::uint8_t {
    None,
    Setup,
    Active,
    PreSwitchover,
    Device,
    Completed,
    Failed,
    Cancelling,
    Cancelled,
};

inline constexpr std::array<std::string_view, 9> kMigrationStatusNames = {
    "none",      "setup",  "active",     "pre-switchover", "device",
    "completed", "failed", "cancelling", "cancelled",
};

[[nodiscard]] constexpr std::string_view name_of(MigrationStatus status) {
    return kMigrationStatusNames[static_cast<std::size_t>(status)];
}

// Is a job under way? (The end states and none say no.)
[[nodiscard]] constexpr bool is_running(MigrationStatus status) {
    switch (status) {
    case MigrationStatus::Setup:
    case MigrationStatus::Active:
    case MigrationStatus::PreSwitchover:
    case MigrationStatus::Device:
    case MigrationStatus::Cancelling:
        return true;
    case MigrationStatus::None:
    case MigrationStatus::Completed:
    case MigrationStatus::Failed:
    case MigrationStatus::Cancelled:
        return false;
    }
    return false;
}

enum class RunStatus : std::uint8_t {
    Prelaunch,     // started paused, cont not seen yet
    Running,       // the emulated guest may write to its RAM
    Paused,        // stopped by `stop`, or loaded from a guest that ran or was paused
    Inmigrate,     // waits for or does a load, also after a failed one
    FinishMigrate, // last phase of a save: the guest stands still
    Postmigrate,   // a save completed
};

inline constexpr std::array<std::string_view, 6> kRunStatusNames = {
    "prelaunch", "running", "paused", "inmigrate", "finish-migrate", "postmigrate",
};

[[nodiscard]] constexpr std::string_view name_of(RunStatus status) {
    return kRunStatusNames[static_cast<std::size_t>(status)];
}

} // namespace mfd
