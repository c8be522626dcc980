#include "proto/decode.hpp"

#include "proto/decode_steps.hpp"
#include "proto/stream_reader.hpp"

namespace mfd {

namespace {

using decoding::FoundVmdescription;

// What a walk needs to know of the START section; without its bitmaps, since walks may be several.
DecodedStream after_start(const DecodedStream& start) {
    DecodedStream out;
    out.sections = start.sections;
    return out;
}

void take_walk(DecodedStream& into, DecodedStream&& walked) {
    into.sections = std::move(walked.sections);
    into.part_sections = walked.part_sections;
    into.switchover_start = walked.switchover_start;
    into.early_devices = std::move(walked.early_devices);
    into.devices = std::move(walked.devices);
    into.complete = walked.complete;
    into.vmdescription_offset = walked.vmdescription_offset;
    into.vmdescription = std::move(walked.vmdescription);
}

// One walk with one vmdescription, or none.
struct Walk {
    DecodedStream out;
    Result<void> result;
    FileOffset stopped_at;
};

Walk walk_sections(StreamReader& in, FileOffset from, const FoundVmdescription* description,
                   const DecodeLimits& limits, const DecodedStream& start) {
    Walk walk;
    walk.out = after_start(start);
    in.seek(from);
    walk.result = decoding::decode_sections(in, description, limits, walk.out);
    walk.stopped_at = in.position();
    return walk;
}

Result<void> decode_all(StreamReader& in, const DecodeOptions& options, DecodedStream& out) {
    MFD_CHECK(decoding::decode_configuration(in, options, RamForm::Mapped, out));
    MFD_CHECK(decoding::decode_ram_start(in, options.limits, RamForm::Mapped, out));
    return decoding::decode_rest(in, options.limits, out);
}

} // namespace

Result<void> decoding::decode_rest(StreamReader& in, const DecodeLimits& limits,
                                   DecodedStream& out) {
    const FileOffset from = in.position();
    VmdescriptionSearch search(in, from, limits);
    std::optional<Walk> best;
    for (;;) {
        MFD_TRY(const auto description, search.next());
        if (!description)
            break;
        Walk walk = walk_sections(in, from, &*description, limits, out);
        if (!best || walk.result.has_value() || walk.stopped_at > best->stopped_at)
            best = std::move(walk);
        if (best->result.has_value())
            break;
    }
    // Devices of known length need none. Not after one was found, though: it contradicts the
    // devices.
    if (!best)
        best = walk_sections(in, from, nullptr, limits, out);
    in.seek(best->stopped_at);
    take_walk(out, std::move(best->out));
    return std::move(best->result);
}

Inspection inspect_stream(ByteSource& source, FileOffset stream_offset,
                          const DecodeOptions& options) {
    Inspection inspection;
    StreamReader in(source, stream_offset);
    inspection.stream.stream_offset = stream_offset;
    auto result = decode_all(in, options, inspection.stream);
    inspection.stream.end = in.position();
    if (!result.has_value())
        inspection.problem = std::move(result).error();
    return inspection;
}

Result<DecodedStream> decode_stream(ByteSource& source, FileOffset stream_offset,
                                    const DecodeOptions& options) {
    Inspection inspection = inspect_stream(source, stream_offset, options);
    if (inspection.problem)
        return std::move(*inspection.problem);
    return std::move(inspection.stream);
}

} // namespace mfd
