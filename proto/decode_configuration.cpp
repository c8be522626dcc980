#include "proto/decode_steps.hpp"
#include "proto/text.hpp"
#include "proto/wire.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace mfd::decoding {

namespace {

constexpr std::uint32_t kMachineNameMaxBytes = 255; // chosen; QEMU's are under 40 bytes
constexpr std::uint32_t kCapabilitiesMax = 64;      // chosen; QEMU has about twenty
constexpr std::uint32_t kPageBits = std::countr_zero(kPageSize);

// All of QEMU's. A stream records only those of the checked kind, but QEMU lets any known one pass.
constexpr std::array<std::string_view, 21> kKnownCapabilities = {
    "xbzrle",          "rdma-pin-all",       "auto-converge",
    "events",          "postcopy-ram",       "x-colo",
    "release-ram",     "return-path",        "multifd",
    "dirty-bitmaps",   "postcopy-blocktime", "late-block-activate",
    "x-ignore-shared", "validate-uuid",      "background-snapshot",
    "zero-copy-send",  "switchover-ack",     "postcopy-preempt",
    "dirty-limit",     "mapped-ram",         "pause-before-switchover",
};

template <class Range, class Value>
bool contains(const Range& range, const Value& value) {
    return std::find(range.begin(), range.end(), value) != range.end();
}

Result<void> decode_header(StreamReader& in) {
    constexpr WhenCut kNoMagic{"Not a migration stream", EINVAL};
    constexpr WhenCut kNoVersion{"Unsupported migration stream version", EOPNOTSUPP};
    const FileOffset at = in.position();
    MFD_TRY(const auto magic, in.take_big<std::uint32_t>(kNoMagic));
    if (magic != wire::kMagic && magic != 0)
        return format_error(std::string(kNoMagic.text), at, kNoMagic.sys);
    MFD_TRY(const auto version, in.take_big<std::uint32_t>(kNoVersion));
    if (magic == 0) // what a save writes last
        return format_error(
            std::string(kNoMagic.text) +
                (version == 0 ? ": it begins with zeros, as a save that did not end" : ""),
            at, kNoMagic.sys);
    if (version == wire::kObsoleteVersion)
        return format_error("SaveVM v2 format is obsolete and don't work anymore", at + 4,
                            EOPNOTSUPP);
    if (version != wire::kVersion)
        return format_error("Unsupported migration stream version (expected 3, got " +
                                std::to_string(version) + ")",
                            at + 4, kNoVersion.sys);
    return {};
}

Result<std::string> decode_machine(StreamReader& in, const DecodeOptions& options) {
    constexpr WhenCut kCut{"Could not read the machine type of the configuration", EIO};
    const FileOffset at = in.position();
    MFD_TRY(const auto mark, in.take_big<std::uint8_t>({"Configuration section missing", EINVAL}));
    if (mark != static_cast<std::uint8_t>(wire::Mark::Configuration))
        return format_error("Configuration section missing", at);
    MFD_TRY(const auto length, in.take_big<std::uint32_t>(kCut));
    if (length > kMachineNameMaxBytes)
        return format_error("Machine type is " + std::to_string(length) +
                                " bytes long, expected at most 255",
                            at + 1);
    std::string machine(length, '\0');
    MFD_CHECK(in.read(std::as_writable_bytes(std::span(machine)), kCut));
    if (machine.find('\0') != std::string::npos)
        return format_error("Machine type '" + printable(machine) + "' contains a zero byte",
                            at + 5);
    if (options.machine && machine != *options.machine)
        return format_error("Machine type received is '" + printable(machine) + "' and local is '" +
                                printable(*options.machine) + "'",
                            at + 5);
    return machine;
}

Result<std::vector<std::string>> decode_capabilities(StreamReader& in, RamForm form) {
    constexpr WhenCut kCut{"Failed to load configuration/capabilities:capabilities", EIO};
    const FileOffset at = in.position();
    MFD_TRY(const auto count, in.take_big<std::uint32_t>(kCut));
    if (count > kCapabilitiesMax)
        return format_error("configuration/capabilities: " + std::to_string(count) +
                                " capabilities, expected at most 64",
                            at);
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < count; ++i) {
        const FileOffset name_at = in.position();
        MFD_TRY(auto name, in.take_str8(kCut));
        if (!contains(kKnownCapabilities, name))
            return format_error("Received unknown capability " + printable(name), name_at);
        // The entries of such a stream hold an address more, and blocks may have no pages in it.
        if (name == wire::kIgnoreSharedCapability)
            return format_error("Capability x-ignore-shared is off, but received capability is on",
                                name_at);
        names.push_back(std::move(name));
    }
    const bool mapped = contains(names, wire::kMappedRamCapability);
    if (!mapped && form == RamForm::Mapped)
        return format_error("Capability mapped-ram is on, but received capability is off", at);
    if (mapped && form == RamForm::Sequential)
        return format_error("Capability mapped-ram is off, but received capability is on", at);
    return names;
}

Result<void> decode_subsection(StreamReader& in, const SubsectionInfo& info, RamForm form,
                               Configuration& configuration) {
    if (info.name == wire::kCapabilitiesName) {
        MFD_TRY(configuration.capabilities, decode_capabilities(in, form));
    } else if (info.name == wire::kUuidName) {
        using Uuid = std::array<std::byte, 16>;
        MFD_TRY(configuration.uuid, in.take<Uuid>({"Failed to load configuration/uuid", EIO}));
    } else {
        const FileOffset at = in.position();
        MFD_TRY(const auto bits,
                in.take_big<std::uint32_t>({"Failed to load configuration/target-page-bits", EIO}));
        if (bits != kPageBits)
            return format_error("Received TARGET_PAGE_BITS is " + std::to_string(bits) +
                                    " but local is " + std::to_string(kPageBits),
                                at);
        configuration.target_page_bits = bits;
    }
    return {};
}

// Name and version of the subsection at the reader; nothing, and the reader left where it is, if
// the configuration ends here.
Result<std::optional<SubsectionInfo>> decode_subsection_start(StreamReader& in) {
    constexpr WhenCut kCut{"Could not read a configuration subsection", EIO};
    const FileOffset at = in.position();
    if (in.left() == 0)
        return std::optional<SubsectionInfo>();
    MFD_TRY(const auto mark, in.take_big<std::uint8_t>(kCut));
    if (mark != static_cast<std::uint8_t>(wire::Mark::Subsection)) {
        in.seek(at);
        return std::optional<SubsectionInfo>();
    }
    MFD_TRY(auto name, in.take_str8(kCut));
    if (name.compare(0, wire::kConfigurationPrefix.size(), wire::kConfigurationPrefix) != 0) {
        in.seek(at);
        return std::optional<SubsectionInfo>();
    }
    if (name != wire::kCapabilitiesName && name != wire::kUuidName &&
        name != wire::kTargetPageBitsName)
        return format_error("Unknown configuration subsection '" + printable(name) + "'", at,
                            ENOENT);
    const FileOffset version_at = in.position();
    MFD_TRY(const auto version, in.take_big<std::uint32_t>(kCut));
    if (version > wire::kSubsectionVersion)
        return format_error(name + ": incoming version_id " + std::to_string(version) +
                                " is too new for local version_id 1",
                            version_at);
    if (version < wire::kSubsectionVersion)
        return format_error(name + ": incoming version_id " + std::to_string(version) +
                                " is too old for local minimum version_id  1",
                            version_at);
    return std::optional(SubsectionInfo{std::move(name), version, at});
}

} // namespace

Result<void> decode_configuration(StreamReader& in, const DecodeOptions& options, RamForm form,
                                  DecodedStream& out) {
    MFD_CHECK(decode_header(in));
    out.configuration_offset = in.position();
    out.configuration = {};
    out.configuration.capabilities.clear();
    MFD_TRY(out.configuration.machine, decode_machine(in, options));
    for (;;) {
        MFD_TRY(auto info, decode_subsection_start(in));
        if (!info)
            break;
        for (const SubsectionInfo& earlier : out.subsections)
            if (earlier.name == info->name)
                return format_error(info->name + " is there twice", info->offset);
        MFD_CHECK(decode_subsection(in, *info, form, out.configuration));
        out.subsections.push_back(std::move(*info));
    }
    out.configuration_end = in.position();
    if (form == RamForm::Mapped && out.configuration.capabilities.empty())
        return format_error("Capability mapped-ram is on, but received capability is off",
                            out.configuration_end);
    return {};
}

} // namespace mfd::decoding
