#include "proto/device_state.hpp"

#include "proto/byte_cursor.hpp"
#include "proto/text.hpp"
#include "proto/wire.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace mfd {

namespace {

constexpr std::string_view kGlobalstateName = "globalstate";
constexpr std::uint32_t kGlobalstateVersion = 1;
constexpr std::size_t kRunStateBytes = 32;

// The body as QEMU 10 writes it. The last 66 bytes are its reserve.
struct GlobalstateBody {
    Big<std::uint32_t> text_bytes; // with the terminator
    std::array<char, kRunStateBytes> run_state{};
    std::uint8_t has_vm_was_suspended = 1;
    std::uint8_t vm_was_suspended = 0;
    std::array<std::byte, 66> unused{};
};
static_assert(sizeof(GlobalstateBody) == 104 && alignof(GlobalstateBody) == 1);

Result<void> check_run_state(std::string_view run_state) {
    if (run_state.empty() || run_state.size() >= kRunStateBytes ||
        run_state.find('\0') != std::string_view::npos)
        return Error{Errc::BadArgument,
                     "run state '" + printable(run_state) + "' is not a text of 1 to 31 bytes",
                     EINVAL};
    return {};
}

void set_run_state(GlobalstateBody& body, std::string_view run_state) {
    body.text_bytes = static_cast<std::uint32_t>(run_state.size() + 1);
    body.run_state = {};
    std::memcpy(body.run_state.data(), run_state.data(), run_state.size());
}

std::optional<GlobalstateBody> globalstate_of(const DeviceSection& device) {
    if (device.idstr != kGlobalstateName || device.version_id != kGlobalstateVersion ||
        device.body.size() != sizeof(GlobalstateBody))
        return std::nullopt;
    return ByteCursor(device.body).take<GlobalstateBody>();
}

std::vector<std::byte> to_bytes(const GlobalstateBody& body) {
    ByteWriter out;
    out.put(body);
    return out.take_all();
}

// One member of a vmdescription's "fields".
std::string field(std::string_view name, std::string_view type, std::size_t size) {
    std::string text = R"({"name": ")";
    text.append(name).append(R"(", "type": ")").append(type);
    return text.append(R"(", "size": )").append(std::to_string(size)).append("}");
}

// The first member of a vmdescription, with the brace before it and without the one that ends it.
std::string configuration_member(const Configuration& configuration) {
    std::size_t names = 0;
    for (const std::string& name : configuration.capabilities)
        names += 1 + name.size();
    std::string text =
        R"({"configuration": {"vmsd_name": "configuration", "version": 1, "fields": [)";
    text += field("len", "uint32", 4) + ", ";
    text += field("name", "buffer", configuration.machine.size()) + "]";
    std::string subsections;
    const auto add_subsection = [&](std::string_view name, const std::string& fields) {
        subsections += subsections.empty() ? "" : ", ";
        subsections.append(R"({"vmsd_name": ")").append(name);
        subsections.append(R"(", "version": 1, "fields": [)").append(fields).append("]}");
    };
    if (configuration.target_page_bits)
        add_subsection(wire::kTargetPageBitsName, field("target_page_bits", "uint32", 4));
    if (!configuration.capabilities.empty())
        add_subsection(wire::kCapabilitiesName, field("caps_count", "uint32", 4) + ", " +
                                                    field("capabilities", "capability", names));
    if (configuration.uuid)
        add_subsection(wire::kUuidName,
                       R"({"name": "uuid.data", "array_len": 16, "type": "uint8", "size": 1})");
    if (!subsections.empty())
        text += R"(, "subsections": [)" + subsections + "]";
    return text;
}

} // namespace

Result<DeviceSection> make_globalstate(std::uint32_t section_id, std::string_view run_state) {
    MFD_CHECK(check_run_state(run_state));
    GlobalstateBody body;
    set_run_state(body, run_state);
    return DeviceSection{section_id, std::string(kGlobalstateName), 0, kGlobalstateVersion,
                         to_bytes(body)};
}

std::optional<std::string> run_state_of(std::span<const DeviceSection> devices) {
    for (const DeviceSection& device : devices) {
        const auto body = globalstate_of(device);
        if (!body)
            continue;
        const auto end = std::find(body->run_state.begin(), body->run_state.end(), '\0');
        if (end != body->run_state.end() && end != body->run_state.begin())
            return std::string(body->run_state.begin(), end);
    }
    return std::nullopt;
}

Result<void> replace_run_state(std::span<DeviceSection> devices, std::string_view run_state) {
    MFD_CHECK(check_run_state(run_state));
    for (DeviceSection& device : devices)
        if (auto body = globalstate_of(device)) {
            set_run_state(*body, run_state);
            device.body = to_bytes(*body);
            return {};
        }
    return Error{Errc::NotFound, "replace the run state: the stream has no globalstate section",
                 ENOENT};
}

std::string make_vmdescription(const Configuration& configuration) {
    std::string text = configuration_member(configuration);
    text += R"(}, "page_size": )" + std::to_string(kPageSize);
    text +=
        R"(, "devices": [{"name": "globalstate", "instance_id": 0, "vmsd_name": "globalstate", )";
    text += R"("version": 1, "fields": [)" + field("size", "uint32", 4) + ", ";
    text += field("runstate", "buffer", kRunStateBytes) + ", ";
    text += field("has_vm_was_suspended", "uint8", 1) + ", ";
    text += field("vm_was_suspended", "uint8", 1) + ", ";
    return text + field("unused", "buffer", sizeof(GlobalstateBody::unused)) + "]}]}";
}

std::string with_configuration(std::string_view vmdescription, const Configuration& from,
                               const Configuration& to) {
    // With the brace, lest subsections that are not known here are taken for the end.
    const std::string before = configuration_member(from) + "}";
    if (!vmdescription.starts_with(before))
        return std::string(vmdescription);
    return configuration_member(to) + "}" + std::string(vmdescription.substr(before.size()));
}

std::optional<std::uint64_t> fixed_body_bytes(std::string_view idstr, std::uint32_t version_id) {
    constexpr std::uint32_t kTimerVersion = 2;
    constexpr std::uint64_t kTimerBytes = 24;
    if (idstr == kGlobalstateName && version_id == kGlobalstateVersion)
        return sizeof(GlobalstateBody);
    if (idstr == "timer" && version_id == kTimerVersion)
        return kTimerBytes;
    return std::nullopt;
}

} // namespace mfd
