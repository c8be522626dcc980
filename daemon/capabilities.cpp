#include "daemon/capabilities.hpp"

#include <array>
#include <string>

namespace mfd {

namespace {

constexpr std::array<CapabilityInfo, kCapabilityCount> kTable = {{
    {"xbzrle", "Delta compression of pages sent again.", "a mapped-ram file holds whole pages"},
    {"rdma-pin-all", "Pin all memory for RDMA; no effect on files.", ""},
    {"auto-converge", "Throttle the guest when a live save does not converge.", ""},
    {"zero-blocks", "Obsolete; no effect.", ""},
    {"events", "Send MIGRATION and MIGRATION_PASS events.", ""},
    {"postcopy-ram", "Move pages on demand after the switchover.",
     "a file has no destination that could ask for pages"},
    {"x-colo", "Keep a second guest in lock step.", "a file is not a second guest"},
    {"release-ram", "Free RAM that was sent; effective only with postcopy.", ""},
    {"return-path", "A channel back from the destination.", "a file does not answer"},
    {"pause-before-switchover", "Wait for migrate-continue before the last pass.", ""},
    {"multifd", "Write and read pages with several threads.", ""},
    {"dirty-bitmaps", "Move block dirty bitmaps.", "there are no block devices here"},
    {"postcopy-blocktime", "Measure postcopy block times; no effect on files.", ""},
    {"late-block-activate", "Activate block devices late; no effect on files.", ""},
    {"x-ignore-shared", "Leave shared memory out of the stream.",
     "every block is saved; the layout it needs differs between QEMU releases"},
    {"validate-uuid", "Record the guest's UUID, and compare it on load.", ""},
    {"background-snapshot", "Save the state at the start of the save.",
     "the file would lack its bitmaps"},
    {"zero-copy-send", "Send without copying; pages are never copied here.", ""},
    {"postcopy-preempt", "A channel for urgent pages.",
     "a file has no destination that could ask for pages"},
    {"switchover-ack", "Let the destination agree to the switchover.", "a file does not answer"},
    {"dirty-limit", "Limit the dirty rate of vCPUs.", "there are no vCPUs here"},
    {"mapped-ram", "Pages at fixed offsets of the file.", ""},
}};

using Set = std::bitset<kCapabilityCount>;

constexpr std::size_t at(Capability capability) {
    return static_cast<std::size_t>(capability);
}

Error refusal(std::string text) {
    return Error{Errc::BadArgument, std::move(text)};
}

// What background-snapshot cannot be combined with, in the order of the checks.
constexpr std::array kNotWithSnapshot = {
    Capability::PostcopyRam,
    Capability::DirtyBitmaps,
    Capability::PostcopyBlocktime,
    Capability::LateBlockActivate,
    Capability::ReturnPath,
    Capability::Multifd,
    Capability::PauseBeforeSwitchover,
    Capability::AutoConverge,
    Capability::ReleaseRam,
    Capability::RdmaPinAll,
    Capability::Xbzrle,
    Capability::XColo,
    Capability::ValidateUuid,
    Capability::ZeroCopySend,
};

Result<void> check_combination(const Set& set, bool compressed, bool tls) {
    const auto has = [&](Capability capability) { return set[at(capability)]; };
    using enum Capability;
    if (has(PostcopyRam) && has(XIgnoreShared))
        return refusal("Postcopy is not compatible with ignore-shared");
    if (has(PostcopyRam) && has(Multifd))
        return refusal("Postcopy is not yet compatible with multifd");
    if (has(BackgroundSnapshot))
        for (const Capability other : kNotWithSnapshot)
            if (has(other))
                return refusal("Background-snapshot is not compatible with " +
                               std::string(kTable[at(other)].name));
    if (has(ZeroCopySend) && (!has(Multifd) || has(Xbzrle) || compressed || tls))
        return refusal("Zero copy only available for non-compressed non-TLS multifd migration");
    if (has(PostcopyPreempt) && !has(PostcopyRam))
        return refusal("Postcopy preempt requires postcopy-ram");
    if (has(SwitchoverAck) && !has(ReturnPath))
        return refusal("Capability 'switchover-ack' requires capability 'return-path'");
    if (has(DirtyLimit) && has(AutoConverge))
        return refusal(
            "dirty-limit conflicts with auto-converge either of then available currently");
    if (has(DirtyLimit))
        return refusal("dirty-limit requires KVM with accelerator property 'dirty-ring-size' set");
    if (has(Multifd) && has(Xbzrle))
        return refusal("Multifd is not compatible with xbzrle");
    if (has(MappedRam) && has(Xbzrle))
        return refusal("Mapped-ram migration is incompatible with xbzrle");
    if (has(MappedRam) && has(PostcopyRam))
        return refusal("Mapped-ram migration is incompatible with postcopy");
    return {};
}

} // namespace

std::span<const CapabilityInfo, kCapabilityCount> capability_table() {
    return kTable;
}

Result<void> Capabilities::apply(std::span<const Change> changes, bool compressed, bool tls) {
    Set next = on_;
    for (const auto& [capability, state] : changes)
        next[at(capability)] = state;
    MFD_CHECK(check_combination(next, compressed, tls));
    on_ = next;
    return {};
}

Result<void> Capabilities::check_supported() const {
    if (!has(Capability::MappedRam))
        return Error{Errc::Unsupported, "multifdd saves and loads only with the capability "
                                        "'mapped-ram' on; it is off"};
    for (std::size_t i = 0; i < kTable.size(); ++i)
        if (on_[i] && !kTable[i].refusal.empty())
            return Error{Errc::Unsupported,
                         "Capability '" + std::string(kTable[i].name) +
                             "' is not supported by multifdd: " + std::string(kTable[i].refusal)};
    return {};
}

} // namespace mfd
