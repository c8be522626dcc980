// A saved guest as an ELF core file: `multifdctl extract --elf`.
#pragma once

#include "qmp/files/elf_core.hpp"
#include "qmp/files/guest_map.hpp"
#include "qmp/files/output_file.hpp"
#include "qmp/files/saved_file.hpp"
#include "qmp/json.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace mfd::ctl {

struct CoreOptions {
    std::vector<std::string> ram;
    std::vector<std::string> at; // "BLOCK=ADDRESS"
};

struct CoreDump {
    std::vector<files::GuestRange> ranges;
    files::CoreFrame frame; // its segments are the ranges, in their order
};

// Of all blocks, or of the one that is named.
Result<CoreDump> plan_core_dump(const files::SavedFile& saved, const std::string& block,
                                const CoreOptions& options);
struct CoreWritten {
    std::uint64_t bytes = 0; // the rest are holes
    std::string kernel;      // of a Linux guest, its release; it goes through printable()
};
Result<CoreWritten> write_core_dump(const files::SavedFile& saved, CoreDump core,
                                    files::OutputFile& out);

// The segments: block, page, address, size, offset, and whether the address is the guest's.
qmp::Json core_json(const files::SavedFile& saved, const CoreDump& core);
// The same for people; empty if there are none.
std::string core_table(const qmp::Json& segments);

} // namespace mfd::ctl
