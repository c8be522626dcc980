// All that a save needs to know, put together on the control thread when it starts.
#pragma once

#include "channels/migration_file.hpp"
#include "channels/page_saver.hpp"
#include "daemon/convergence.hpp"
#include "daemon/guest/memory_backend.hpp"
#include "daemon/job.hpp"
#include "daemon/run_flag.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

namespace mfd {

enum class SaveTracking : std::uint8_t {
    None,    // nobody writes to the memory while it is saved
    Tracked, // the guest may run: what it writes is found and written again
};

// Who makes a running guest stand still when the save is ready for its last pass.
enum class GuestStop : std::uint8_t {
    Switchover, // the daemon, by itself
    Owner,      // the other process that writes the memory: it is told, and awaited
};

struct SaveRequest {
    FileTarget target;
    Configuration configuration;
    std::vector<MemoryBackend*> blocks; // stay alive and in place while the job runs
    std::optional<LoadedState> loaded;  // of the file this guest came from: kept and written again
    SaveTracking tracking = SaveTracking::None;
    GuestStop guest_stop = GuestStop::Switchover;
    const RunFlag* guest = nullptr;            // not owned
    std::optional<AutoConverge> auto_converge; // nothing: the capability is off
    SaveOptions pages;
    bool sync = true;         // file data on stable storage before the save is complete
    bool checksums = true;    // of pages and metadata, behind the stream
    bool preallocate = false; // space for every page, before the first is written
    const std::atomic<std::uint64_t>* downtime_limit_ms = nullptr; // may change on the way
    std::uint64_t switchover_bandwidth = 0; // bytes per second; 0: as measured
};

} // namespace mfd
