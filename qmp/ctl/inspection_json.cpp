#include "qmp/ctl/inspection_json.hpp"

#include "proto/device_state.hpp"
#include "proto/text.hpp"
#include "proto/vmdescription.hpp"
#include "proto/wire.hpp"

#include <string>

namespace mfd::ctl {

using qmp::Json;

namespace {

const char* type_name(SectionType type) {
    switch (type) {
    case SectionType::Start:
        return "START";
    case SectionType::Part:
        return "PART";
    case SectionType::End:
        return "END";
    case SectionType::Full:
        return "FULL";
    case SectionType::Command:
        return "COMMAND";
    }
    return "";
}

std::string hex_digits(std::span<const std::byte> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
        text += kDigits[std::to_integer<unsigned>(byte) >> 4];
        text += kDigits[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

Json subsection_json(const SubsectionInfo& info, const Configuration& configuration) {
    Json out = {{"name", info.name}, {"version", info.version}, {"offset", info.offset.value}};
    if (info.name == wire::kCapabilitiesName)
        out["capabilities"] = configuration.capabilities;
    else if (info.name == wire::kUuidName && configuration.uuid)
        out["uuid"] = hex_digits(*configuration.uuid);
    else if (info.name == wire::kTargetPageBitsName && configuration.target_page_bits)
        out["target-page-bits"] = *configuration.target_page_bits;
    return out;
}

Json runs_json(const std::vector<files::StateRun>& runs) {
    Json out = Json::array();
    for (const files::StateRun& run : runs)
        out.push_back({files::page_state_name(run.state), run.pages.first, run.pages.count});
    return out;
}

Json block_json(const DecodedBlock& block, const files::BlockSurvey& survey, bool with_runs) {
    const BlockLayout& layout = block.layout;
    Json out = {{"idstr", layout.idstr},
                {"used-length", layout.used_length},
                {"header-offset", layout.entry_offset.value},
                {"mapped-ram-header-offset", layout.header_offset.value},
                {"header-version", block.header_version},
                {"page-size", block.page_size},
                {"bitmap-offset", layout.bitmap_offset.value},
                {"bitmap-size", layout.bitmap_size()},
                {"pages-offset", layout.pages_offset.value},
                {"padding-all-zero", survey.padding_zero},
                {"num-pages", layout.pages()},
                {"bits-set", survey.pages.stored},
                {"zero-pages", survey.pages.zero},
                {"stale-pages", survey.pages.stale}};
    if (survey.stored_zero)
        out["set-but-zero-pages"] = *survey.stored_zero;
    if (with_runs)
        out["runs"] = runs_json(survey.runs);
    return out;
}

Json section_json(const SectionInfo& section, std::uint64_t total_ram) {
    Json out = {{"type", type_name(section.type)}, {"offset", section.offset.value}};
    if (section.type == SectionType::Command) {
        out["command"] = section.command;
        out["length"] = section.command_length;
        return out;
    }
    out["section-id"] = section.section_id;
    out["idstr"] = section.idstr;
    out["body-offset"] = section.body_offset.value;
    out["footer-offset"] = section.footer_offset.value;
    out["end"] = section.end.value;
    out["size"] = section.end.value - section.offset.value;
    if (section.type == SectionType::Start || section.type == SectionType::Full) {
        out["instance-id"] = section.instance_id;
        out["version-id"] = section.version_id;
    }
    if (section.type == SectionType::Start)
        out["total-ram"] = total_ram;
    if (section.type != SectionType::Full)
        out["eos-offset"] = section.eos_offset.value;
    return out;
}

Json configuration_json(const DecodedStream& stream) {
    Json out = {{"offset", stream.configuration_offset.value},
                {"machine", stream.configuration.machine},
                {"end", stream.configuration_end.value},
                {"subsections", Json::array()}};
    for (const SubsectionInfo& info : stream.subsections)
        out["subsections"].push_back(subsection_json(info, stream.configuration));
    return out;
}

Json sections_json(const DecodedStream& stream) {
    Json out = Json::array();
    for (const SectionInfo& section : stream.sections)
        out.push_back(section_json(section, stream.total_ram));
    if (!stream.complete)
        return out;
    const FileOffset end = stream.end;
    const FileOffset mark(stream.vmdescription_offset.value_or(end).value - 1);
    out.push_back({{"type", "EOF"}, {"offset", mark.value}});
    if (stream.vmdescription_offset)
        out.push_back({{"type", "VMDESCRIPTION"},
                       {"offset", stream.vmdescription_offset->value},
                       {"length", stream.vmdescription.size()},
                       {"end", end.value}});
    return out;
}

Json devices_json(const DecodedStream& stream) {
    Json out = Json::array();
    const auto description = parse_vmdescription(stream.vmdescription);
    if (!description)
        return out;
    for (const DeviceDescription& device : description->devices)
        out.push_back({{"name", device.name},
                       {"instance-id", device.instance_id},
                       {"version", device.version ? Json(*device.version) : Json(nullptr)},
                       {"size", device.body_bytes}});
    return out;
}

Json libvirt_json(const files::LibvirtHeader& header) {
    return {{"complete", header.complete},    {"version", header.version},
            {"data-len", header.data_bytes},  {"was-running", header.was_running},
            {"format", header.format_name()}, {"cookie-offset", header.cookie_offset},
            {"xml-size", header.xml.size()}};
}

Json trailer_json(const Trailer& trailer) {
    return {{"offset", trailer.at.value}, {"end", trailer.end.value}, {"id", hex(trailer.id)}};
}

} // namespace

Json inspection_json(const files::SavedFile& saved, std::span<const files::BlockSurvey> surveys,
                     bool with_runs) {
    const DecodedStream& stream = saved.stream();
    Json out = {{"file", saved.file().path()},
                {"file-size", saved.file().size()},
                {"allocated", saved.file().allocated_bytes()},
                {"stream-offset", stream.stream_offset.value},
                {"complete", saved.stream_is_sound()},
                {"page-size", kPageSize},
                {"total-ram", stream.total_ram},
                {"part-sections", stream.part_sections},
                {"blocks", Json::array()},
                {"sections", sections_json(stream)},
                {"devices", devices_json(stream)}};
    if (stream.configuration_end.value != 0)
        out["configuration"] = configuration_json(stream);
    for (std::size_t i = 0; i < surveys.size(); ++i)
        out["blocks"].push_back(block_json(saved.blocks()[i], surveys[i], with_runs));
    if (saved.place().libvirt)
        out["libvirt"] = libvirt_json(*saved.place().libvirt);
    if (saved.problem())
        out["problem"] = saved.problem()->what;
    if (stream.complete) {
        out["end"] = stream.end.value;
        out["trailing"] = saved.file().size() - stream.end.value;
    }
    if (stream.vmdescription_offset)
        out["vmdesc"] = {{"offset", stream.vmdescription_offset->value},
                         {"length", stream.vmdescription.size()}};
    if (const auto state = run_state_of(stream.devices))
        out["run-state"] = *state;
    if (saved.trailer())
        out["checksums"] = trailer_json(*saved.trailer());
    return out;
}

} // namespace mfd::ctl
