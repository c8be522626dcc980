// One load of guest RAM from a file, on a thread of its own. All metadata is read and checked
// before the first page moves; until then guest memory is as it was.
#pragma once

#include "channels/migration_file.hpp"
#include "channels/page_loader.hpp"
#include "daemon/guest/memory_backend.hpp"
#include "daemon/job.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace mfd {

// Are pages and metadata compared with the checksums in the file?
enum class Verify : std::uint8_t {
    Auto,    // if it has any
    Require, // yes; a file without is refused
    Off,     // no
};

struct RestoreRequest {
    FileTarget target;
    std::optional<std::string> machine;            // what the file must be for; nothing: any
    std::optional<std::array<std::byte, 16>> uuid; // must be the file's, if both have one
    bool mapped_ram = true; // the capability, which must be as it was at the save
    Verify verify = Verify::Auto;
    LoadOptions pages;
};

class RestoreJob {
public:
    struct Outcome {
        LoadedState state;
        RunStatus saved_status = RunStatus::Running; // QEMU's choice for a file that does not say
    };

    RestoreJob(RestoreRequest request, JobHost& host, JobProgress& progress);

    // Once. An error has the errno that QEMU would name in Error::sys.
    Result<Outcome> run(const std::stop_token& stop);

private:
    Result<void> load_pages(const MigrationFile& file, const std::vector<LoadBlock>& blocks,
                            const std::stop_token& stop);

    RestoreRequest request_;
    JobHost& host_;
    JobProgress& progress_;
};

} // namespace mfd
