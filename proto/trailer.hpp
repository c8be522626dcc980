// The trailer: checksums of everything in a stream, behind the stream, where QEMU does not look.
// FORMAT.md has its layout. Head and metadata checksums are one record; the checksums of each
// block's pages are a table of 32-bit numbers of its own, of which only the parts are written that
// have pages to tell of. Computes and reads only; any thread.
#pragma once

#include "proto/checked.hpp"
#include "proto/decode.hpp"
#include "proto/encode.hpp"
#include "proto/error.hpp"
#include "proto/plan.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace mfd {

// Trailer and tables begin on multiples of this, and parts of tables are this long. Those parts can
// then be written and looked at alone.
inline constexpr std::uint64_t kTrailerUnit = 4096;
inline constexpr std::uint64_t kChecksumsPerUnit = kTrailerUnit / sizeof(std::uint32_t);

struct Trailer {
    struct Block {
        std::uint64_t pages = 0;
        FileOffset table;                 // of the checksum of page 0
        std::uint64_t entry_checksum = 0; // its entry and header, and what leads there
        std::uint64_t bitmap_checksum = 0;
    };
    std::uint64_t id = 0; // random; the vmdescription names it
    FileOffset stream_offset;
    FileOffset stream_end;
    FileOffset at; // of the head
    FileOffset end;
    std::uint64_t configuration_checksum = 0; // file header and configuration
    std::uint64_t sections_checksum = 0;      // from behind the last page up to the end mark
    std::uint64_t vmdescription_checksum = 0; // the rest of the stream
    std::vector<Block> blocks;                // in the order of the file
};

// Where the trailer of a stream that ends at `stream_end` lies. The checksums are 0.
Result<Trailer> plan_trailer(const StreamPlan& plan, FileOffset stream_end, std::uint64_t id);

// Puts the checksums of all metadata of a decoded stream into its trailer: all that
// check_metadata() compares.
Result<void> sum_metadata(ByteSource& source, const DecodedStream& stream, Trailer& trailer);

// The head, without the tables.
Fragment encode_trailer(const Trailer& trailer);

// The trailer of a decoded stream; nothing if it has none. An error if the stream names one that is
// missing, damaged or of a version that is not known here, and if there is one whose stream is
// damaged.
Result<std::optional<Trailer>> find_trailer(ByteSource& source, const DecodedStream& stream);

// Does all metadata have the checksums of the trailer? The error names the first piece that has
// not.
Result<void> check_metadata(ByteSource& source, const DecodedStream& stream,
                            const Trailer& trailer);

} // namespace mfd
