#include "proto/encode.hpp"

#include "proto/byte_cursor.hpp"
#include "proto/text.hpp"
#include "proto/wire.hpp"

#include <limits>

namespace mfd {

namespace {

void put_mark(ByteWriter& out, wire::Mark mark) {
    out.put_big(static_cast<std::uint8_t>(mark));
}

void put_subsection(ByteWriter& out, std::string_view name) {
    put_mark(out, wire::Mark::Subsection);
    out.put_str8(name).put_big(wire::kSubsectionVersion);
}

void put_configuration(ByteWriter& out, const Configuration& configuration) {
    put_mark(out, wire::Mark::Configuration);
    out.put_big(static_cast<std::uint32_t>(configuration.machine.size()));
    out.put_text(configuration.machine);
    if (configuration.target_page_bits) {
        put_subsection(out, wire::kTargetPageBitsName);
        out.put_big(*configuration.target_page_bits);
    }
    if (!configuration.capabilities.empty()) {
        put_subsection(out, wire::kCapabilitiesName);
        out.put_big(static_cast<std::uint32_t>(configuration.capabilities.size()));
        for (const std::string& name : configuration.capabilities)
            out.put_str8(name);
    }
    if (configuration.uuid) {
        put_subsection(out, wire::kUuidName);
        out.put_bytes(*configuration.uuid);
    }
}

void put_footer(ByteWriter& out, std::uint32_t section_id) {
    put_mark(out, wire::Mark::Footer);
    out.put_big(section_id);
}

// From the file's first byte to the list of blocks.
void put_start(ByteWriter& out, const Configuration& configuration, std::uint64_t total_ram) {
    out.put_big(wire::kMagic).put_big(wire::kVersion);
    put_configuration(out, configuration);
    put_mark(out, wire::Mark::Start);
    out.put_big(wire::kRamSectionId).put_str8(wire::kRamIdstr);
    out.put_big(std::uint32_t{0}).put_big(wire::kRamVersion);
    out.put_big(total_ram | wire::kRamFlagBlockList);
}

void put_block_entry(ByteWriter& out, const BlockLayout& layout) {
    out.put_str8(layout.idstr).put_big(layout.used_length);
    out.put(wire::MappedRamHeader{wire::kMappedRamVersion, kPageSize, layout.bitmap_offset.value,
                                  layout.pages_offset.value});
}

// PART or END: nothing but the word that says so.
void put_empty_ram_section(ByteWriter& out, wire::Mark mark) {
    put_mark(out, mark);
    out.put_big(wire::kRamSectionId).put_big(wire::kRamFlagEos);
    put_footer(out, wire::kRamSectionId);
}

Result<void> put_device(ByteWriter& out, const DeviceSection& device) {
    if (const auto fault = name_fault(device.idstr); !fault.empty())
        return Error{Errc::BadArgument,
                     "device section '" + printable(device.idstr) + "': name " + std::string(fault),
                     EINVAL};
    put_mark(out, wire::Mark::Full);
    out.put_big(device.section_id).put_str8(device.idstr);
    out.put_big(device.instance_id).put_big(device.version_id).put_bytes(device.body);
    put_footer(out, device.section_id);
    return {};
}

} // namespace

std::vector<Fragment> encode_head(const StreamPlan& plan) {
    std::vector<Fragment> fragments;
    ByteWriter out;
    FileOffset at = plan.stream_offset;

    put_start(out, plan.configuration, plan.total_ram);
    for (const BlockLayout& layout : plan.blocks) {
        put_block_entry(out, layout);
        fragments.push_back({at, out.take_all()});
        at = layout.slots_end();
    }
    out.put_big(wire::kRamFlagEos);
    put_footer(out, wire::kRamSectionId);
    fragments.push_back({at, out.take_all()});
    return fragments;
}

std::vector<std::byte> encode_sequential_head(const Configuration& configuration,
                                              std::span<const BlockSpec> blocks) {
    std::uint64_t total = 0;
    for (const BlockSpec& block : blocks)
        total += block.used_length;
    ByteWriter out;
    put_start(out, configuration, total);
    for (const BlockSpec& block : blocks)
        out.put_str8(block.idstr).put_big(block.used_length);
    out.put_big(wire::kRamFlagEos);
    put_footer(out, wire::kRamSectionId);
    return out.take_all();
}

Result<Fragment> encode_devices(FileOffset at, std::span<const DeviceSection> devices) {
    ByteWriter out;
    for (const DeviceSection& device : devices)
        MFD_CHECK(put_device(out, device));
    return Fragment{at, out.take_all()};
}

Fragment encode_part(FileOffset at) {
    ByteWriter out;
    put_empty_ram_section(out, wire::Mark::Part);
    return {at, out.take_all()};
}

std::uint64_t vmdescription_bytes(std::string_view text) {
    return text.empty() ? 0 : 1 + sizeof(std::uint32_t) + text.size();
}

Result<Fragment> encode_tail(FileOffset at, const Tail& tail) {
    if (tail.vmdescription.size() > std::numeric_limits<std::uint32_t>::max())
        return Error{Errc::BadArgument, "vmdescription is too long for its length field", EINVAL};
    ByteWriter out;
    if (tail.switchover_start) {
        put_mark(out, wire::Mark::Command);
        out.put_big(wire::kCommandSwitchoverStart).put_big(std::uint16_t{0});
    }
    put_empty_ram_section(out, wire::Mark::End);
    for (const DeviceSection& device : tail.devices)
        MFD_CHECK(put_device(out, device));
    put_mark(out, wire::Mark::Eof);
    if (!tail.vmdescription.empty()) {
        put_mark(out, wire::Mark::Vmdescription);
        out.put_big(static_cast<std::uint32_t>(tail.vmdescription.size()));
        out.put_text(tail.vmdescription);
    }
    return Fragment{at, out.take_all()};
}

} // namespace mfd
