// What a job needs to know, from capabilities, parameters and the guest as they are when it starts.
#include "daemon/migration_service.hpp"

#include <algorithm>
#include <utility>

#include <fcntl.h>

namespace mfd {

Result<FileTarget> MigrationService::resolve(const MigrationAddress& address, FileUse use) {
    if (!FdSets::is_fdset_path(address.path))
        MFD_CHECK(settings_.files.check(address.path));
    file_ = address.path;
    return resolve_target(fdsets_, address.path, address.offset, use, page_io());
}

Result<SaveRequest> MigrationService::make_save_request(const MigrationAddress& address) {
    SaveRequest request;
    MFD_TRY(request.target, resolve(address, FileUse::Save));
    if (parameters_.flag("x-reuse-blocks", false))
        request.target.old_blocks = OldBlocks::Reuse;
    if (!parameters_.flag("x-atomic", true))
        request.target.appears = Appears::AtOnce;
    MFD_CHECK(watch_stop_eventfd());
    request.loaded = loaded_;
    if (loaded_)
        request.configuration = loaded_->configuration;
    else
        request.configuration.machine = settings_.machine.value_or("none");
    // A loaded guest keeps the UUID that its file named.
    if (capabilities_.has(Capability::ValidateUuid) && settings_.uuid)
        request.configuration.uuid = settings_.uuid;
    request.blocks = objects_.memory().blocks();
    request.tracking = needs_tracking() ? SaveTracking::Tracked : SaveTracking::None;
    request.guest_stop = guest_stop();
    request.guest = &run_.run_flag();
    request.auto_converge = auto_converge();
    request.sync = parameters_.flag("x-sync", true);
    request.target.durability = request.sync ? Durability::Durable : Durability::PageCache;
    request.preallocate = parameters_.flag("x-preallocate", false);
    request.checksums = parameters_.flag("x-checksum", true);
    request.downtime_limit_ms = &downtime_limit_ms_;
    request.switchover_bandwidth = parameters_.number("avail-switchover-bandwidth");

    limiter_ = std::make_unique<RateLimiter>(parameters_.number("max-bandwidth"));
    request.pages.limiter = limiter_.get();
    request.pages.channels = channel_count();
    request.pages.engine = engine_kind();
    request.pages.write_back = request.sync ? WriteBack::AtOnce : WriteBack::Later;
    // Space that was reserved is not given back.
    if (!parameters_.flag("x-punch-hole", true) || request.preallocate)
        request.pages.punch_hole = {};
    const auto detection = parameters_.text("zero-page-detection");
    request.pages.zero_page_detection = detection == "none"     ? ZeroPageDetection::None
                                        : detection == "legacy" ? ZeroPageDetection::Legacy
                                                                : ZeroPageDetection::Multifd;
    return request;
}

Result<void> MigrationService::watch_stop_eventfd() {
    const std::string path = parameters_.text("x-stop-eventfd");
    if (path.empty())
        return {};
    auto eventfd = fdsets_.open(path, O_RDWR);
    if (!eventfd.has_value())
        return with_context("x-stop-eventfd", std::move(eventfd).error());
    MFD_TRY(stop_eventfd_,
            StopEventfd::watch(control_, std::move(*eventfd), [this] { run_.stop(); }));
    return {};
}

Result<RestoreRequest> MigrationService::make_restore_request(const MigrationAddress& address) {
    RestoreRequest request;
    MFD_TRY(request.target, resolve(address, FileUse::Load));
    if (settings_.machine || !settings_.create_blocks)
        request.machine = settings_.machine.value_or("none");
    request.uuid = settings_.uuid;
    request.mapped_ram = capabilities_.has(Capability::MappedRam);
    const auto verify = parameters_.text("x-verify", "auto");
    request.verify = verify == "require" ? Verify::Require
                     : verify == "off"   ? Verify::Off
                                         : Verify::Auto;
    request.pages.channels = channel_count();
    request.pages.engine = engine_kind();
    return request;
}

bool MigrationService::needs_tracking() const {
    // Then the guest stands still, and may_run() lets nobody start it before the save has ended.
    if (block_without_log() != nullptr)
        return false;
    if (!objects_.workloads().empty())
        return true;
    for (const MemoryBackend* block : objects_.memory().blocks())
        if (block->dirty_log().valid())
            return true;
    return false;
}

// Memory of another process is written by a guest that only its owner can stop.
GuestStop MigrationService::guest_stop() const {
    const auto blocks = objects_.memory().blocks();
    const bool foreign = std::any_of(blocks.begin(), blocks.end(),
                                     [](const auto* block) { return block->foreign(); });
    return foreign ? GuestStop::Owner : GuestStop::Switchover;
}

std::optional<AutoConverge> MigrationService::auto_converge() const {
    if (!capabilities_.has(Capability::AutoConverge))
        return std::nullopt;
    const auto percent = [this](std::string_view name) {
        return static_cast<std::uint32_t>(parameters_.number(name));
    };
    return AutoConverge{.trigger_threshold = percent("throttle-trigger-threshold"),
                        .initial = percent("cpu-throttle-initial"),
                        .increment = percent("cpu-throttle-increment"),
                        .max = percent("max-cpu-throttle"),
                        .tailslow = parameters_.flag("cpu-throttle-tailslow")};
}

unsigned MigrationService::channel_count() const {
    return capabilities_.has(Capability::Multifd)
               ? static_cast<unsigned>(parameters_.number("multifd-channels"))
               : 1;
}

PageIo MigrationService::page_io() const {
    // As in QEMU, without multifd direct-io has no effect.
    return capabilities_.has(Capability::Multifd) && parameters_.flag("direct-io")
               ? PageIo::Direct
               : PageIo::Buffered;
}

EngineKind MigrationService::engine_kind() const {
    const auto engine = parameters_.text("x-io-engine", "auto");
    if (engine == "io_uring")
        return EngineKind::Uring;
    return engine == "pwritev" ? EngineKind::Pwritev : EngineKind::Auto;
}

} // namespace mfd
