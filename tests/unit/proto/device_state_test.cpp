#include "proto/device_state.hpp"
#include "proto/vmdescription.hpp"
#include "tests/unit/proto/golden.hpp"

#include <catch2/catch_test_macros.hpp>

using mfd::DeviceSection;
using mfd::FileOffset;
using mfd::testing::Json;

TEST_CASE("globalstate and its vmdescription are QEMU's, byte for byte", "[golden][device_state]") {
    mfd::testing::require_golden();
    auto file = mfd::testing::open_sample("none-zero-16m");
    const auto stream = mfd::decode_stream(file, FileOffset(0));
    REQUIRE(stream.has_value());
    const auto made = mfd::make_globalstate(3, "prelaunch");
    REQUIRE(made.has_value());
    CHECK(*made == stream->devices.back());

    const Json of_qemu = Json::parse(stream->vmdescription);
    const Json ours = Json::parse(mfd::make_vmdescription(stream->configuration));
    CHECK(ours.at("configuration") == of_qemu.at("configuration"));
    CHECK(ours.at("page_size") == of_qemu.at("page_size"));
    CHECK(ours.at("devices").at(0) == of_qemu.at("devices").back());
}

TEST_CASE("the vmdescription names the uuid as QEMU does", "[golden][device_state]") {
    mfd::testing::require_golden();
    auto file = mfd::testing::open_sample("pc30-uuid-16m");
    const auto stream = mfd::decode_stream(file, FileOffset(0));
    REQUIRE(stream.has_value());
    CHECK(Json::parse(mfd::make_vmdescription(stream->configuration)).at("configuration") ==
          Json::parse(stream->vmdescription).at("configuration"));
}

TEST_CASE("the vmdescription describes the globalstate that is made", "[device_state]") {
    mfd::Configuration configuration;
    configuration.target_page_bits = 12;
    const auto parsed = mfd::parse_vmdescription(mfd::make_vmdescription(configuration));
    REQUIRE(parsed.has_value());
    CHECK(parsed->page_size == 4096U);
    REQUIRE(parsed->devices.size() == 1);
    const auto made = mfd::make_globalstate(0, "running");
    CHECK(parsed->devices[0].name == made->idstr);
    CHECK(parsed->devices[0].version == made->version_id);
    CHECK(parsed->devices[0].instance_id == made->instance_id);
    CHECK(parsed->devices[0].body_bytes == made->body.size());
    CHECK(mfd::fixed_body_bytes(made->idstr, made->version_id) == made->body.size());
    CHECK(mfd::fixed_body_bytes("timer", 2) == 24U);
    CHECK(mfd::fixed_body_bytes("timer", 1) == std::nullopt);
    CHECK(mfd::fixed_body_bytes("cpu", 12) == std::nullopt);
}

TEST_CASE("a run state is replaced, and all else of the section stays", "[device_state]") {
    auto made = mfd::make_globalstate(7, "prelaunch");
    made->body[103] = std::byte{0x55};
    made->body[37] = std::byte{1};
    std::vector<DeviceSection> devices = {{0, "timer", 0, 2, {24, std::byte{1}}}, *made};
    CHECK(mfd::run_state_of(devices) == "prelaunch");
    REQUIRE(mfd::replace_run_state(devices, "paused").has_value());
    CHECK(mfd::run_state_of(devices) == "paused");
    auto expected = mfd::make_globalstate(7, "paused");
    expected->body[103] = std::byte{0x55};
    expected->body[37] = std::byte{1};
    CHECK(devices[1] == *expected);
    CHECK(devices[0].body == std::vector<std::byte>(24, std::byte{1}));
}

TEST_CASE("a run state has to fit its field", "[device_state]") {
    CHECK(mfd::make_globalstate(0, "").has_error());
    CHECK(mfd::make_globalstate(0, std::string(31, 'x')).has_value());
    CHECK(mfd::make_globalstate(0, std::string(32, 'x')).has_error());
    CHECK(mfd::make_globalstate(0, std::string_view("a\0b", 3)).has_error());
}

TEST_CASE("without a sound globalstate there is no run state", "[device_state]") {
    std::vector<DeviceSection> devices;
    CHECK(mfd::run_state_of(devices) == std::nullopt);
    CHECK(mfd::replace_run_state(devices, "paused").has_error());
    devices.push_back(*mfd::make_globalstate(0, "running"));
    devices[0].body.pop_back();
    CHECK(mfd::run_state_of(devices) == std::nullopt);
    devices[0] = *mfd::make_globalstate(0, "running");
    devices[0].version_id = 2;
    CHECK(mfd::run_state_of(devices) == std::nullopt);
    devices[0] = *mfd::make_globalstate(0, "running");
    for (std::size_t i = 4; i < 36; ++i)
        devices[0].body[i] = std::byte{'x'}; // no terminator
    CHECK(mfd::run_state_of(devices) == std::nullopt);
}
