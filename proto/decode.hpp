// Reads a stream that anybody may have written. Nothing in it is believed: lengths meet the
// source's size and named limits before they reach an allocator, offsets are checked before they
// are used, and what QEMU would load wrongly or crash on is refused. All of this happens before a
// page of RAM is read. Any thread; the source is borrowed for the call.
//
// Every error says what is wrong and where (file offset in hex, block or section by name), in
// QEMU's words where QEMU has some, and carries in Error::sys the errno that QEMU would name in
// "load of migration failed: ...". A source that cannot be read gives the source's own error.
#pragma once

#include "proto/checked.hpp"
#include "proto/encode.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"
#include "proto/plan.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mfd {

// The file, as far as the decoder needs one.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    [[nodiscard]] virtual std::uint64_t size() const = 0;
    // Fills `into` completely or fails. Only asked for what lies inside size().
    virtual Result<void> read_at(FileOffset at, std::span<std::byte> into) = 0;

protected:
    ByteSource() = default;
    ByteSource(const ByteSource&) = default;
    ByteSource& operator=(const ByteSource&) = default;
};

// Chosen limits. They bound memory, not what is sensible: a stream that reaches one is no real one.
struct DecodeLimits {
    std::uint64_t ram_bytes = std::uint64_t{1} << 46;            // 64 TiB, 2 GiB of bitmaps
    std::uint64_t blocks = 4096;                                 // QEMU guests have under a hundred
    std::uint64_t sections = std::uint64_t{1} << 20;             // a live save has many PARTs
    std::uint64_t device_state_bytes = std::uint64_t{256} << 20; // all FULL bodies together
    std::uint64_t vmdescription_bytes = std::uint64_t{16} << 20; // large guests: a few hundred KiB
};

// How a stream has its RAM.
enum class RamForm : std::uint8_t {
    Mapped,     // each page at a place of its own: what decode_stream() reads
    Sequential, // one page after the other: QEMU's ordinary stream, see sequential.hpp
};

struct DecodeOptions {
    // The machine the stream must be for; any if not set.
    std::optional<std::string> machine;
    DecodeLimits limits;
};

struct DecodedBlock {
    BlockLayout layout;
    std::uint32_t header_version = 0;
    std::uint64_t page_size = 0;
    PageBitmap bitmap; // as in the file; all clear in a file whose save did not get to its end
};

struct SubsectionInfo {
    std::string name;
    std::uint32_t version = 0;
    FileOffset offset;
};

enum class SectionType : std::uint8_t { Start, Part, End, Full, Command };

// A section's place. What its type does not have is 0.
struct SectionInfo {
    SectionType type = SectionType::Start;
    FileOffset offset;
    std::uint32_t section_id = 0;
    std::string idstr; // of PART and END: that of the section they continue
    std::uint32_t instance_id = 0;
    std::uint32_t version_id = 0;
    FileOffset body_offset;
    FileOffset eos_offset; // RAM sections
    FileOffset footer_offset;
    FileOffset end;
    std::uint16_t command = 0;
    std::uint16_t command_length = 0;
};

struct DecodedStream {
    FileOffset stream_offset;
    Configuration configuration;
    FileOffset configuration_offset; // its marker
    std::vector<SubsectionInfo> subsections;
    FileOffset configuration_end;

    std::uint64_t total_ram = 0;
    std::vector<DecodedBlock> blocks; // in the order of the file

    std::vector<SectionInfo> sections; // all, in the order of the file
    std::uint64_t part_sections = 0;
    bool switchover_start = false;
    std::vector<DeviceSection> early_devices; // FULL sections between START and END
    std::vector<DeviceSection> devices;       // FULL sections behind END

    bool complete = false;                          // END and end mark are there
    std::optional<FileOffset> vmdescription_offset; // its marker
    std::string vmdescription;
    FileOffset end; // first byte behind the stream (or behind what could be read)
};

// The whole stream at `stream_offset`, or the first thing that is wrong with it.
Result<DecodedStream> decode_stream(ByteSource& source, FileOffset stream_offset,
                                    const DecodeOptions& options = {});

// As decode_stream, but for looking at a file rather than loading it: what was read up to the first
// problem, and that problem.
struct Inspection {
    DecodedStream stream;
    std::optional<Error> problem;
};
Inspection inspect_stream(ByteSource& source, FileOffset stream_offset,
                          const DecodeOptions& options = {});

} // namespace mfd
