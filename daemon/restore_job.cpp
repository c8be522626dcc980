#include "daemon/restore_job.hpp"

#include "proto/decode.hpp"
#include "proto/device_state.hpp"
#include "proto/trailer.hpp"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <utility>

namespace mfd {

namespace {

// The migration file as the decoder wants it.
class FileSource final : public ByteSource {
public:
    FileSource(const MigrationFile& file, std::uint64_t size) : file_(file), size_(size) {}
    [[nodiscard]] std::uint64_t size() const override { return size_; }
    Result<void> read_at(FileOffset at, std::span<std::byte> into) override {
        return file_.read_meta(into, at.value);
    }

private:
    const MigrationFile& file_;
    std::uint64_t size_;
};

Error invalid(std::string text) {
    return Error{Errc::BadFormat, std::move(text), EINVAL};
}

std::string uuid_text(const std::array<std::byte, 16>& uuid) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text += '-';
        text += kDigits[std::to_integer<unsigned>(uuid[i]) >> 4];
        text += kDigits[std::to_integer<unsigned>(uuid[i]) & 0xF];
    }
    return text;
}

MemoryBackend* find_block(const std::vector<MemoryBackend*>& backends, std::string_view name) {
    const auto it = std::find_if(backends.begin(), backends.end(), [&](const auto* backend) {
        return backend->block_name() == name;
    });
    return it == backends.end() ? nullptr : *it;
}

// How clear pages of the file become zero pages of the guest. Most memory that is loaded into is
// fresh: what was never touched needs no call to the kernel, which for every short run would cost
// more than reading the file.
Result<std::function<Result<void>(PageRun)>> zero_where_data(const MemoryBackend& backend) {
    MFD_TRY(auto extents, backend.data_extents());
    const auto data = std::make_shared<const std::vector<ByteExtent>>(std::move(extents));
    return std::function<Result<void>(PageRun)>([&backend, data](PageRun run) -> Result<void> {
        const std::uint64_t first = run.first * kPageSize;
        const std::uint64_t last = run.end() * kPageSize;
        auto extent = std::ranges::upper_bound(*data, first, {}, &ByteExtent::end);
        for (; extent != data->end() && extent->offset < last; ++extent) {
            const std::uint64_t from = std::max(first, extent->offset);
            MFD_CHECK(backend.zero_range(from, std::min(last, extent->end()) - from));
        }
        return {};
    });
}

// The trailer whose checksums are to be looked at, all of those of metadata compared; nothing: none
// are.
Result<std::optional<Trailer>> check_trailer(ByteSource& source, const DecodedStream& stream,
                                             Verify verify) {
    if (verify == Verify::Off)
        return std::nullopt;
    MFD_TRY(auto trailer, find_trailer(source, stream));
    if (trailer)
        MFD_CHECK(check_metadata(source, stream, *trailer));
    else if (verify == Verify::Require)
        return invalid("x-verify is 'require', but the file has no checksums");
    return std::optional(std::move(trailer));
}

// Pairs every block of the file with the guest's block of that name; both sides must be equal.
Result<std::vector<LoadBlock>> match_blocks(const DecodedStream& stream,
                                            const std::optional<Trailer>& trailer,
                                            const std::vector<MemoryBackend*>& backends) {
    std::vector<LoadBlock> matched;
    for (std::size_t i = 0; i < stream.blocks.size(); ++i) {
        const DecodedBlock& block = stream.blocks[i];
        MemoryBackend* backend = find_block(backends, block.layout.idstr);
        const std::string name = "'" + block.layout.idstr + "'";
        if (backend == nullptr)
            return invalid("Unknown ramblock \"" + block.layout.idstr +
                           "\", cannot accept migration");
        if (backend->memory().size() != block.layout.used_length)
            return invalid("block " + name + " has " + std::to_string(block.layout.used_length) +
                           " bytes in the file and " + std::to_string(backend->memory().size()) +
                           " in this guest");
        if (backend->readonly())
            return invalid("block " + name + " is read-only in this guest");
        LoadBlock load;
        load.name = block.layout.idstr;
        load.base = backend->memory().data();
        load.length_bytes = block.layout.used_length;
        load.pages_offset = block.layout.pages_offset.value;
        load.present = &block.bitmap;
        MFD_TRY(load.zero, zero_where_data(*backend));
        if (trailer)
            load.checksums_offset = trailer->blocks[i].table.value;
        matched.push_back(std::move(load));
    }
    // QEMU leaves a block that the file does not list as it is: RAM of two guests, mixed.
    for (const MemoryBackend* backend : backends)
        if (std::none_of(matched.begin(), matched.end(),
                         [&](const auto& load) { return load.name == backend->block_name(); }))
            return invalid("block '" + backend->block_name() +
                           "' of this guest is not in the file");
    return matched;
}

std::vector<BlockSpec> block_specs(const DecodedStream& stream) {
    std::vector<BlockSpec> specs;
    for (const DecodedBlock& block : stream.blocks)
        specs.push_back({block.layout.idstr, block.layout.used_length});
    return specs;
}

RunStatus run_status_of(const DecodedStream& stream) {
    const auto text = run_state_of(stream.devices);
    if (!text || *text == name_of(RunStatus::Running))
        return RunStatus::Running;
    return *text == name_of(RunStatus::Prelaunch) ? RunStatus::Prelaunch : RunStatus::Paused;
}

} // namespace

RestoreJob::RestoreJob(RestoreRequest request, JobHost& host, JobProgress& progress)
    : request_(std::move(request)), host_(host), progress_(progress) {}

Result<RestoreJob::Outcome> RestoreJob::run(const std::stop_token& stop) {
    MFD_TRY(MigrationFile file, MigrationFile::open_load(std::move(request_.target)));
    host_.opened();
    host_.active();
    if (!request_.mapped_ram)
        return invalid("Capability mapped-ram is off, but received capability is on");

    MFD_TRY(const std::uint64_t size, file.size_bytes());
    FileSource source(file, size);
    DecodeOptions options;
    options.machine = request_.machine;
    MFD_TRY(DecodedStream stream, decode_stream(source, FileOffset(file.stream_offset()), options));
    if (const auto& uuid = stream.configuration.uuid;
        uuid && request_.uuid && uuid != request_.uuid)
        return invalid("UUID received is " + uuid_text(*uuid) + " and local is " +
                       uuid_text(*request_.uuid));
    MFD_TRY(const auto trailer, check_trailer(source, stream, request_.verify));
    progress_.verified = trailer.has_value();
    MFD_TRY(const auto backends, host_.guest_blocks(block_specs(stream), stop));
    MFD_TRY(const auto blocks, match_blocks(stream, trailer, backends));

    progress_.total_bytes = stream.total_ram;
    progress_.set_remaining(stream.total_ram / kPageSize);
    progress_.pass = 1;
    auto loaded = load_pages(file, blocks, stop);
    // Whether it failed, or went into what stands in for memory that is lost.
    for (const MemoryBackend* backend : backends)
        MFD_CHECK(backend->check_intact());
    MFD_CHECK(std::move(loaded));
    MFD_CHECK(file.finish());

    Outcome outcome;
    outcome.saved_status = run_status_of(stream);
    outcome.state.configuration = std::move(stream.configuration);
    outcome.state.blocks = block_specs(stream);
    outcome.state.switchover_start = stream.switchover_start;
    outcome.state.early_devices = std::move(stream.early_devices);
    outcome.state.devices = std::move(stream.devices);
    outcome.state.vmdescription = std::move(stream.vmdescription);
    return outcome;
}

Result<void> RestoreJob::load_pages(const MigrationFile& file, const std::vector<LoadBlock>& blocks,
                                    const std::stop_token& stop) {
    MFD_TRY(const auto loader, PageLoader::start(file, request_.pages, progress_.counters));
    progress_.set_threads(loader->threads());
    auto result = loader->load(blocks, stop);
    progress_.set_threads({});
    return result;
}

} // namespace mfd
