#include "proto/plan.hpp"

#include "proto/text.hpp"
#include "proto/wire.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

namespace mfd {

namespace {

// Marker and length of the name; subsection mark, length of its name, version.
constexpr std::uint64_t kConfigurationFixedBytes = 1 + 4;
constexpr std::uint64_t subsection_bytes(std::string_view name) {
    return 1 + 1 + name.size() + 4;
}

// Section mark, id, name, instance, version; then the word with the total.
constexpr std::uint64_t kStartFixedBytes = 1 + 4 + 1 + wire::kRamIdstr.size() + 4 + 4 + 8;

// Chosen: QEMU reads the name into memory at once. Its own are under 40 bytes.
constexpr std::size_t kMachineNameMaxBytes = 255;
// Chosen. QEMU has about twenty capabilities.
constexpr std::size_t kCapabilitiesMax = 64;

Error invalid_layout(std::string what) {
    return Error{Errc::BadArgument, std::move(what), EINVAL};
}

Result<void> check_configuration(const Configuration& configuration) {
    if (configuration.machine.size() > kMachineNameMaxBytes ||
        configuration.machine.find('\0') != std::string::npos)
        return invalid_layout("machine name '" + printable(configuration.machine) +
                              "' cannot stand in a stream");
    if (configuration.capabilities.size() > kCapabilitiesMax)
        return invalid_layout("too many capabilities to record in a stream");
    for (const std::string& name : configuration.capabilities)
        if (const auto fault = name_fault(name); !fault.empty())
            return invalid_layout("capability name '" + printable(name) + "' " +
                                  std::string(fault));
    return {};
}

Result<void> check_blocks(std::span<const BlockSpec> blocks) {
    std::set<std::string_view> names;
    for (const BlockSpec& block : blocks) {
        const std::string shown = "RAM block '" + printable(block.idstr) + "'";
        if (const auto fault = name_fault(block.idstr); !fault.empty())
            return invalid_layout(shown + ": name " + std::string(fault));
        if (!names.insert(block.idstr).second)
            return invalid_layout(shown + ": two blocks have this name");
        if (block.used_length == 0 || block.used_length % kPageSize != 0)
            return invalid_layout(shown + ": length " + hex(block.used_length) +
                                  " is not a positive multiple of 4096");
    }
    return {};
}

// Sums of file offsets that stay what a file can have. One that does not sticks.
class OffsetSum {
public:
    explicit OffsetSum(std::uint64_t from) : value_(from) {}
    void add(std::uint64_t bytes) { set(value_ ? checked_add(*value_, bytes) : std::nullopt); }
    void round_up(std::uint64_t unit) {
        set(value_ ? checked_round_up(*value_, unit) : std::nullopt);
    }
    [[nodiscard]] bool fits() const { return value_.has_value(); }
    [[nodiscard]] FileOffset get() const { return FileOffset(value_.value_or(0)); }

private:
    void set(std::optional<std::uint64_t> value) {
        constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max(); // off_t
        value_ = value && *value <= kMax ? value : std::nullopt;
    }
    std::optional<std::uint64_t> value_;
};

BlockLayout plan_block(const BlockSpec& spec, OffsetSum& at) {
    BlockLayout layout;
    layout.idstr = spec.idstr;
    layout.used_length = spec.used_length;
    layout.entry_offset = at.get();
    at.add(1 + spec.idstr.size() + 8);
    layout.header_offset = at.get();
    at.add(sizeof(wire::MappedRamHeader));
    layout.bitmap_offset = at.get();
    at.add(layout.bitmap_size());
    at.round_up(wire::kPageAreaAlignment);
    layout.pages_offset = at.get();
    at.add(layout.used_length);
    return layout;
}

} // namespace

std::uint64_t configuration_bytes(const Configuration& configuration) {
    std::uint64_t bytes = kConfigurationFixedBytes + configuration.machine.size();
    if (configuration.target_page_bits)
        bytes += subsection_bytes(wire::kTargetPageBitsName) + 4;
    if (!configuration.capabilities.empty()) {
        bytes += subsection_bytes(wire::kCapabilitiesName) + 4;
        for (const std::string& name : configuration.capabilities)
            bytes += 1 + name.size();
    }
    if (configuration.uuid)
        bytes += subsection_bytes(wire::kUuidName) + configuration.uuid->size();
    return bytes;
}

Result<StreamPlan> plan_stream(FileOffset stream_offset, Configuration configuration,
                               std::span<const BlockSpec> blocks, BlockOrder order) {
    MFD_CHECK(check_configuration(configuration));
    MFD_CHECK(check_blocks(blocks));

    std::vector<BlockSpec> ordered(blocks.begin(), blocks.end());
    if (order == BlockOrder::LargestFirst)
        std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
            return a.used_length > b.used_length;
        });

    StreamPlan plan;
    plan.stream_offset = stream_offset;
    OffsetSum at(stream_offset.value);
    at.add(sizeof(wire::kMagic) + sizeof(wire::kVersion) + configuration_bytes(configuration));
    plan.start_offset = at.get();
    at.add(kStartFixedBytes);
    for (const BlockSpec& spec : ordered) {
        plan.blocks.push_back(plan_block(spec, at));
        // Cannot wrap while the sum of offsets, which contains it, has not.
        if (at.fits())
            plan.total_ram += spec.used_length;
    }
    plan.ram_end = at.get();
    at.add(wire::kEosBytes + wire::kFooterBytes);
    plan.head_end = at.get();
    if (!at.fits())
        return invalid_layout("plan a stream at offset " + hex(stream_offset.value) +
                              ": the RAM blocks end past the largest possible file");
    plan.configuration = std::move(configuration);
    return plan;
}

bool machine_sends_switchover_start(std::string_view machine) {
    constexpr unsigned kFirstMajor = 10;
    // A version is "-MAJOR.MINOR" at the end or before another "-".
    for (std::size_t dash = machine.find('-'); dash != std::string_view::npos;
         dash = machine.find('-', dash + 1)) {
        const std::string_view part =
            machine.substr(dash + 1, machine.find('-', dash + 1) - dash - 1);
        const char* const end = part.data() + part.size();
        unsigned major = 0;
        unsigned minor = 0;
        const auto dot = std::from_chars(part.data(), end, major);
        if (dot.ec != std::errc{} || dot.ptr == end || *dot.ptr != '.')
            continue;
        const auto rest = std::from_chars(dot.ptr + 1, end, minor);
        if (rest.ec == std::errc{} && rest.ptr == end)
            return major >= kFirstMajor;
    }
    return true;
}

} // namespace mfd
