#include "daemon/save_job.hpp"

#include "proto/device_state.hpp"
#include "proto/encode.hpp"
#include "proto/trailer_mark.hpp"

#include <algorithm>
#include <utility>

namespace mfd {

namespace {

// Ids of sections are unique in a stream; the RAM section has 1.
constexpr std::uint32_t kGlobalstateSectionId = 3;

// A loaded guest keeps the order of its file, so that the copy has the same layout.
std::vector<BlockSpec> specs_of(const std::vector<MemoryBackend*>& blocks) {
    std::vector<BlockSpec> specs;
    specs.reserve(blocks.size());
    for (const MemoryBackend* block : blocks)
        specs.push_back({block->block_name(), block->size()});
    return specs;
}

void order_as_loaded(std::vector<MemoryBackend*>& blocks, const LoadedState& loaded) {
    const auto rank = [&](const MemoryBackend* block) {
        return std::find_if(loaded.blocks.begin(), loaded.blocks.end(), [&](const BlockSpec& spec) {
            return spec.idstr == block->block_name();
        });
    };
    std::stable_sort(blocks.begin(), blocks.end(),
                     [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
}

} // namespace

SaveJob::SaveJob(SaveRequest request, JobHost& host, JobProgress& progress)
    : request_(std::move(request)), host_(host), progress_(progress) {}

Result<void> SaveJob::run(const std::stop_token& stop) {
    if (request_.loaded)
        order_as_loaded(request_.blocks, *request_.loaded);
    MFD_TRY(MigrationFile file, MigrationFile::open_save(std::move(request_.target)));
    host_.opened();

    MFD_TRY(const StreamPlan plan,
            plan_stream(FileOffset(file.stream_offset()), request_.configuration,
                        specs_of(request_.blocks),
                        request_.loaded ? BlockOrder::AsGiven : BlockOrder::LargestFirst));
    // From here on blocks and layout go in step.
    std::vector<MemoryBackend*> in_file_order;
    for (const BlockLayout& layout : plan.blocks)
        in_file_order.push_back(
            *std::find_if(request_.blocks.begin(), request_.blocks.end(),
                          [&](const auto* block) { return block->block_name() == layout.idstr; }));
    request_.blocks = std::move(in_file_order);

    // Before the clients hear that the save is active, so that its threads can be asked for then.
    MFD_TRY(const auto saver, PageSaver::start(file, request_.pages, progress_.counters));
    progress_.set_threads(saver->threads());

    progress_.total_bytes = plan.total_ram;
    progress_.set_remaining(plan.total_ram / kPageSize);
    progress_.pass = 1;
    host_.pass_started(1);
    host_.active();

    MFD_CHECK(write_head(file, plan));
    SavePasses passes(request_, plan, file, *saver, checksums_ ? &*checksums_ : nullptr, host_,
                      progress_);
    auto saved_status = passes.run(stop);
    progress_.set_threads({});
    if (!saved_status.has_value())
        return std::move(saved_status).error();
    MFD_CHECK(write_tail(file, plan, passes, *saved_status));
    return file.complete(stop);
}

Result<void> SaveJob::write(MigrationFile& file, const Fragment& fragment, const char* what,
                            std::atomic<std::uint64_t>& counter) {
    auto written = fragment.at.value == file.stream_offset()
                       ? file.write_start(fragment.bytes)
                       : file.write_meta(fragment.bytes, fragment.at.value);
    if (!written.has_value())
        return with_context(std::string("write ") + what, std::move(written).error());
    counter += fragment.bytes.size();
    return {};
}

Result<void> SaveJob::write_head(MigrationFile& file, const StreamPlan& plan) {
    const std::vector<Fragment> head = encode_head(plan);
    Fragment early{plan.head_end, {}};
    if (request_.loaded && !request_.loaded->early_devices.empty()) {
        MFD_TRY(early, encode_devices(early.at, request_.loaded->early_devices));
    }
    at_ = early.end();
    if (request_.checksums)
        MFD_CHECK(prepare_checksums(plan, head, early));
    const auto write_all = [&]() -> Result<void> {
        MFD_CHECK(file.reserve(plan.head_end.value));
        if (request_.preallocate)
            MFD_CHECK(file.preallocate(checksums_ ? checksums_->end().value : plan.head_end.value));
        for (const Fragment& fragment : head)
            MFD_CHECK(write(file, fragment, "stream header", progress_.running_meta_bytes));
        return {};
    };
    // QEMU's words for a failure here, whatever its cause; the cause follows.
    if (auto written = write_all(); !written.has_value())
        return with_context("ram_save_setup failed: Input/output error",
                            std::move(written).error());
    if (early.bytes.empty())
        return {};
    return write(file, early, "early device sections", progress_.running_meta_bytes);
}

// The trailer's place is known before the first page: what closes the stream is as long whatever
// the run state.
Result<void> SaveJob::prepare_checksums(const StreamPlan& plan, const std::vector<Fragment>& head,
                                        const Fragment& early) {
    trailer_id_ = SaveChecksums::draw_id();
    MFD_TRY(const Tail tail, make_tail(plan, RunStatus::Running));
    MFD_TRY(const Fragment end, encode_tail(encode_part(at_).end(), tail));
    MFD_TRY(checksums_, SaveChecksums::make(plan, end.end(), *trailer_id_));
    checksums_->add_head(plan, head);
    checksums_->add_sections(early.bytes);
    return {};
}

Result<Tail> SaveJob::make_tail(const StreamPlan& plan, RunStatus saved_status) const {
    Tail tail;
    const auto run_state = name_of(saved_status);
    if (request_.loaded) {
        tail.switchover_start = request_.loaded->switchover_start;
        tail.devices = request_.loaded->devices;
        tail.vmdescription = without_trailer_id(request_.loaded->vmdescription);
        if (run_state_of(tail.devices))
            MFD_CHECK(replace_run_state(tail.devices, run_state));
    } else {
        tail.switchover_start = machine_sends_switchover_start(plan.configuration.machine);
        MFD_TRY(DeviceSection state, make_globalstate(kGlobalstateSectionId, run_state));
        tail.devices.push_back(std::move(state));
        tail.vmdescription = make_vmdescription(plan.configuration);
    }
    if (trailer_id_)
        tail.vmdescription = with_trailer_id(tail.vmdescription, *trailer_id_);
    return tail;
}

Result<void> SaveJob::write_tail(MigrationFile& file, const StreamPlan& plan,
                                 const SavePasses& passes, RunStatus saved_status) {
    auto& counter = progress_.stopped_meta_bytes;
    const Fragment part = encode_part(at_);
    MFD_CHECK(write(file, part, "RAM section", counter));
    for (std::size_t i = 0; i < plan.blocks.size(); ++i) {
        auto written =
            file.write_meta(passes.present(i).bytes(), plan.blocks[i].bitmap_offset.value);
        if (!written.has_value())
            return with_context("write bitmap of block " + plan.blocks[i].idstr,
                                std::move(written).error());
        counter += plan.blocks[i].bitmap_size();
    }
    MFD_TRY(const Tail tail, make_tail(plan, saved_status));
    MFD_TRY(const Fragment end, encode_tail(part.end(), tail));
    if (checksums_) {
        for (std::size_t i = 0; i < plan.blocks.size(); ++i)
            checksums_->add_bitmap(i, passes.present(i));
        checksums_->add_sections(part.bytes);
        auto written = checksums_->finish(file, end, tail.vmdescription);
        if (!written.has_value())
            return with_context("write checksums", std::move(written).error());
        counter += *written;
    }
    return write(file, end, "closing sections", counter);
}

} // namespace mfd
