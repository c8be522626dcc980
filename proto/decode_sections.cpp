#include "proto/decode_steps.hpp"
#include "proto/device_state.hpp"
#include "proto/text.hpp"
#include "proto/wire.hpp"

namespace mfd::decoding {

namespace {

constexpr WhenCut kIdCut{"Failed to read section ID", EIO};

// Walks from the START section's end to the end mark. One use.
class SectionWalk {
public:
    SectionWalk(StreamReader& in, const Vmdescription* description, const DecodeLimits& limits,
                DecodedStream& out)
        : in_(in), description_(description), limits_(limits), out_(out),
          ram_id_(out.sections.front().section_id) {}

    Result<void> run() {
        while (!out_.complete)
            MFD_CHECK(next());
        return {};
    }

private:
    Result<void> next() {
        SectionInfo section;
        section.offset = in_.position();
        constexpr WhenCut kCut{"the stream ends where a section should start: not a finished save",
                               EIO};
        MFD_TRY(const auto mark, in_.take_big<std::uint8_t>(kCut));
        const auto is = [mark = mark](wire::Mark known) {
            return mark == static_cast<std::uint8_t>(known);
        };
        if (is(wire::Mark::Eof))
            return end_mark(section.offset);
        if (out_.sections.size() >= limits_.sections)
            return format_error("stream has more than " + std::to_string(limits_.sections) +
                                    " sections",
                                section.offset);
        if (is(wire::Mark::Part))
            return ram_section(section, SectionType::Part);
        if (is(wire::Mark::End))
            return ram_section(section, SectionType::End);
        if (is(wire::Mark::Full))
            return device(section);
        if (is(wire::Mark::Command))
            return command(section);
        if (is(wire::Mark::Start))
            return other_start(section.offset);
        return format_error("Unknown savevm section type " + std::to_string(mark), section.offset);
    }

    Result<void> end_mark(FileOffset at) {
        if (!ended_)
            return format_error("end mark without an END of the RAM section: not a finished save",
                                at);
        if (description_ != nullptr && described_ < description_->devices.size())
            return format_error("end mark, but the vmdescription lists device '" +
                                    printable(description_->devices[described_].name) + "' as well",
                                at);
        out_.complete = true;
        return {};
    }

    Result<void> ram_section(SectionInfo& section, SectionType type) {
        section.type = type;
        MFD_TRY(section.section_id, in_.take_big<std::uint32_t>(kIdCut));
        if (section.section_id != ram_id_)
            return format_error("Unknown savevm section " + std::to_string(section.section_id),
                                section.offset + 1);
        if (ended_)
            return format_error("a part of section ram behind its END", section.offset);
        section.idstr = wire::kRamIdstr;
        section.body_offset = in_.position();
        section.eos_offset = in_.position();
        auto eos = decode_ram_eos(in_);
        if (!eos.has_value())
            return with_context("error while loading state section id " +
                                    std::to_string(section.section_id) + "(ram)",
                                std::move(eos).error());
        MFD_CHECK(finish(section));
        if (type == SectionType::Part)
            ++out_.part_sections;
        else
            ended_ = true;
        return {};
    }

    Result<void> command(SectionInfo& section) {
        constexpr WhenCut kCut{"Could not read a command section", EIO};
        section.type = SectionType::Command;
        MFD_TRY(section.command, in_.take_big<std::uint16_t>(kCut));
        section.body_offset = in_.position();
        MFD_TRY(section.command_length, in_.take_big<std::uint16_t>(kCut));
        if (section.command != wire::kCommandSwitchoverStart)
            return format_error("MIG_CMD " + hex(section.command) + " unknown (len " +
                                    hex(section.command_length) + ")",
                                section.offset + 1);
        if (section.command_length != 0)
            return format_error("SWITCHOVER_START received with bad length - expecting 0, got " +
                                    std::to_string(section.command_length),
                                section.body_offset, ERANGE);
        if (ended_ || out_.switchover_start)
            return format_error("SWITCHOVER_START received twice or behind the RAM section's END",
                                section.offset);
        section.body_offset = in_.position();
        section.end = in_.position();
        out_.switchover_start = true;
        out_.sections.push_back(section);
        return {};
    }

    // A START that is not the RAM section's first. Only the device knows where its body ends.
    Result<void> other_start(FileOffset at) {
        MFD_TRY(const auto id, in_.take_big<std::uint32_t>(kIdCut));
        const std::string cut = "Unable to read ID string for section " + std::to_string(id);
        MFD_TRY(const auto idstr, in_.take_str8({cut, EINVAL}));
        if (idstr == wire::kRamIdstr)
            return format_error("a second START of section ram", at);
        return format_error("Unknown savevm section or instance '" + printable(idstr) +
                                "': iterable sections other than ram are not supported",
                            at, ENOTSUP);
    }

    Result<void> device(SectionInfo& section) {
        section.type = SectionType::Full;
        MFD_TRY(section.section_id, in_.take_big<std::uint32_t>(kIdCut));
        const std::string id_cut =
            "Unable to read ID string for section " + std::to_string(section.section_id);
        const FileOffset idstr_at = in_.position();
        MFD_TRY(section.idstr, in_.take_str8({id_cut, EINVAL}));
        const std::string name = "device section '" + printable(section.idstr) + "'";
        if (const auto fault = name_fault(section.idstr); !fault.empty())
            return format_error(name + ": name " + std::string(fault), idstr_at);
        if (section.idstr == wire::kRamIdstr)
            return format_error("section ram as a whole-device section (FULL)", section.offset);
        const std::string version_cut = "Unable to read instance and version of " + name;
        MFD_TRY(section.instance_id, in_.take_big<std::uint32_t>({version_cut, EINVAL}));
        MFD_TRY(section.version_id, in_.take_big<std::uint32_t>({version_cut, EINVAL}));
        section.body_offset = in_.position();

        MFD_TRY(const auto bytes, body_bytes(section, idstr_at));
        if (bytes > in_.left())
            return format_error("Failed to load " + name + ": its body of " +
                                    std::to_string(bytes) + " bytes ends past the end of the file",
                                section.body_offset, EIO);
        if (bytes > limits_.device_state_bytes - device_state_bytes_)
            return format_error(name + ": more device state than the limit of " +
                                    std::to_string(limits_.device_state_bytes) + " bytes",
                                section.body_offset);
        device_state_bytes_ += bytes;
        DeviceSection device{section.section_id, section.idstr, section.instance_id,
                             section.version_id, std::vector<std::byte>(bytes)};
        MFD_CHECK(in_.read(device.body, {name, EIO}));
        MFD_CHECK(finish(section));
        (ended_ ? out_.devices : out_.early_devices).push_back(std::move(device));
        return {};
    }

    // How long the body of a device section is. The vmdescription lists all of them, in this order.
    Result<std::uint64_t> body_bytes(const SectionInfo& section, FileOffset at) {
        if (description_ == nullptr) {
            const auto fixed = fixed_body_bytes(section.idstr, section.version_id);
            if (!fixed)
                return format_error("device section '" + printable(section.idstr) + "' version " +
                                        std::to_string(section.version_id) +
                                        ": its length stands in the vmdescription, which is "
                                        "missing or damaged",
                                    at);
            return *fixed;
        }
        if (described_ == description_->devices.size())
            return format_error("Unknown savevm section or instance '" + printable(section.idstr) +
                                    "' " + std::to_string(section.instance_id) +
                                    ": the vmdescription does not list it",
                                at);
        const DeviceDescription& device = description_->devices[described_];
        if (device.name != section.idstr || device.instance_id != section.instance_id)
            return format_error("Unknown savevm section or instance '" + printable(section.idstr) +
                                    "' " + std::to_string(section.instance_id) +
                                    ": the vmdescription has '" + printable(device.name) + "' " +
                                    std::to_string(device.instance_id) + " here",
                                at);
        if (device.version && *device.version != section.version_id)
            return format_error("savevm: unsupported version " +
                                    std::to_string(section.version_id) + " for '" +
                                    printable(section.idstr) + "' v" +
                                    std::to_string(*device.version) + " of the vmdescription",
                                section.body_offset);
        ++described_;
        return device.body_bytes;
    }

    Result<void> finish(SectionInfo& section) {
        section.footer_offset = in_.position();
        MFD_CHECK(decode_footer(in_, section.idstr, section.section_id));
        section.end = in_.position();
        out_.sections.push_back(section);
        return {};
    }

    StreamReader& in_;
    const Vmdescription* description_; // null: there is none
    const DecodeLimits& limits_;
    DecodedStream& out_;
    std::uint32_t ram_id_;
    bool ended_ = false; // the RAM section's END has been read
    std::size_t described_ = 0;
    std::uint64_t device_state_bytes_ = 0;
};

} // namespace

Result<void> decode_sections(StreamReader& in, const FoundVmdescription* description,
                             const DecodeLimits& limits, DecodedStream& out) {
    SectionWalk walk(in, description == nullptr ? nullptr : &description->parsed, limits, out);
    MFD_CHECK(walk.run());
    const FileOffset end_mark(in.position().value - 1);
    if (description != nullptr) {
        if (description->at != in.position())
            return format_error(
                "end mark, but the vmdescription is at " + hex(description->at.value), end_mark);
        out.vmdescription_offset = description->at;
        out.vmdescription = description->text;
        in.seek(description->end());
        return {};
    }
    if (in.left() == 0)
        return {};
    const FileOffset at = in.position();
    MFD_TRY(const auto mark, in.take_big<std::uint8_t>({"Could not read a byte", EIO}));
    in.seek(at);
    // Without a vmdescription the stream ends at the end mark; what follows is not part of it.
    if (mark != static_cast<std::uint8_t>(wire::Mark::Vmdescription))
        return {};
    MFD_TRY(auto found, read_vmdescription(in, at, limits));
    out.vmdescription_offset = at;
    out.vmdescription = std::move(found.text);
    return {};
}

} // namespace mfd::decoding
