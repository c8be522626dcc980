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

// The sections behind START, with the help of whichever vmdescription fits them. If none does, what
// the walk that got furthest found is what is wrong.
Result<void> decode_rest(StreamReader& in, const DecodeLimits& limits, DecodedStream& out) {
    const FileOffset from = in.position();
    MFD_TRY(const auto found, decoding::find_vmdescriptions(in, from, limits));
    std::vector<const FoundVmdescription*> tries;
    for (const FoundVmdescription& description : found)
        tries.push_back(&description);
    if (tries.empty())
        tries.push_back(nullptr);

    DecodedStream best;
    Result<void> result;
    FileOffset furthest;
    for (const FoundVmdescription* const description : tries) {
        DecodedStream walked = after_start(out);
        in.seek(from);
        auto walk = decoding::decode_sections(in, description, limits, walked);
        const bool first = description == tries.front();
        if (!walk.has_value() && !first && in.position() <= furthest)
            continue;
        furthest = in.position();
        best = std::move(walked);
        result = std::move(walk);
        if (result.has_value())
            break;
    }
    in.seek(furthest);
    take_walk(out, std::move(best));
    return result;
}

Result<void> decode_all(StreamReader& in, const DecodeOptions& options, DecodedStream& out) {
    MFD_CHECK(decoding::decode_configuration(in, options, out));
    MFD_CHECK(decoding::decode_ram_start(in, options.limits, out));
    return decode_rest(in, options.limits, out);
}

} // namespace

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
