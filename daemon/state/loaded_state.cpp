#include "daemon/state/loaded_state.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mfd {

namespace {

using Json = nlohmann::json;

Json encode_bytes(std::span<const std::byte> bytes) {
    std::vector<std::uint8_t> copy(bytes.size());
    std::ranges::transform(bytes, copy.begin(),
                           [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
    return Json::binary(std::move(copy));
}

std::vector<std::byte> decode_bytes(const Json& value) {
    const auto bytes = std::as_bytes(std::span(value.get_binary()));
    return {bytes.begin(), bytes.end()};
}

Json encode_devices(const std::vector<DeviceSection>& devices) {
    Json list = Json::array();
    for (const DeviceSection& device : devices)
        list.push_back({{"section-id", device.section_id},
                        {"idstr", device.idstr},
                        {"instance-id", device.instance_id},
                        {"version-id", device.version_id},
                        {"body", encode_bytes(device.body)}});
    return list;
}

std::vector<DeviceSection> decode_devices(const Json& list) {
    std::vector<DeviceSection> devices;
    for (const Json& device : list)
        devices.push_back({.section_id = device.at("section-id").get<std::uint32_t>(),
                           .idstr = device.at("idstr").get<std::string>(),
                           .instance_id = device.at("instance-id").get<std::uint32_t>(),
                           .version_id = device.at("version-id").get<std::uint32_t>(),
                           .body = decode_bytes(device.at("body"))});
    return devices;
}

} // namespace

Json encode_loaded_state(const LoadedState& state) {
    const Configuration& configuration = state.configuration;
    Json blocks = Json::array();
    for (const BlockSpec& block : state.blocks)
        blocks.push_back({{"idstr", block.idstr}, {"used-length", block.used_length}});
    return {{"machine", configuration.machine},
            {"capabilities", configuration.capabilities},
            {"uuid", configuration.uuid ? encode_bytes(*configuration.uuid) : Json()},
            {"target-page-bits",
             configuration.target_page_bits ? Json(*configuration.target_page_bits) : Json()},
            {"blocks", std::move(blocks)},
            {"switchover-start", state.switchover_start},
            {"early-devices", encode_devices(state.early_devices)},
            {"devices", encode_devices(state.devices)},
            {"vmdescription", state.vmdescription}};
}

Result<LoadedState> decode_loaded_state(const Json& value) try {
    LoadedState state;
    value.at("machine").get_to(state.configuration.machine);
    value.at("capabilities").get_to(state.configuration.capabilities);
    if (const Json& uuid = value.at("uuid"); !uuid.is_null()) {
        const auto bytes = decode_bytes(uuid);
        auto& into = state.configuration.uuid.emplace();
        if (bytes.size() != into.size())
            return Error{Errc::BadFormat, "the UUID of the loaded file has the wrong length"};
        std::ranges::copy(bytes, into.begin());
    }
    if (const Json& bits = value.at("target-page-bits"); !bits.is_null())
        state.configuration.target_page_bits = bits.get<std::uint32_t>();
    for (const Json& block : value.at("blocks"))
        state.blocks.push_back({.idstr = block.at("idstr").get<std::string>(),
                                .used_length = block.at("used-length").get<std::uint64_t>()});
    value.at("switchover-start").get_to(state.switchover_start);
    state.early_devices = decode_devices(value.at("early-devices"));
    state.devices = decode_devices(value.at("devices"));
    value.at("vmdescription").get_to(state.vmdescription);
    return state;
} catch (const Json::exception& error) {
    return Error{Errc::BadFormat, std::string("the loaded file's device state: ") + error.what()};
}

} // namespace mfd
