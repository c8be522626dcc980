// What of a guest goes to the next process, as values: all of it comes back, and nothing else is
// taken for it.
#include "daemon/state/guest_state.hpp"
#include "daemon/state/loaded_state.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <string>

using mfd::GuestState;
using mfd::Incoming;
using mfd::JobKind;
using mfd::LoadedState;
using mfd::MigrationStatus;
using mfd::RunStatus;
using nlohmann::json;

namespace {

GuestState full_state() {
    GuestState state;
    state.command_line = {{"name", "db1"}};
    state.machine_backend = "m0";
    state.memory.push_back({.arguments = {{"id", "m0"}},
                            .memory = "ram-1",
                            .dirty_log = "log-2",
                            .passed = true,
                            .from_command_line = true});
    state.workloads.push_back({{"id", "load"}});
    state.fdsets.push_back(
        {.id = 5, .members = {{.descriptor = "fdset-3", .number = 17, .opaque = nullptr}}});
    state.named_fds["monitor"] = "named-4";
    state.run = {.status = RunStatus::Inmigrate, .run_after_load = false};
    state.migration = {.capabilities = {"mapped-ram"},
                       .parameters = {{"downtime-limit", 7}},
                       .incoming = Incoming::Started,
                       .status = MigrationStatus::Failed,
                       .job = {.kind = JobKind::Load,
                               .id = "1",
                               .uri = "file:x",
                               .started_ms = 2,
                               .duration_ms = 3,
                               .reply = {{"status", "failed"}},
                               .details = json::object()},
                       .partly_loaded = true};
    state.loaded = "loaded-6";
    return state;
}

} // namespace

TEST_CASE("the state of a guest comes back as it was", "[state]") {
    const json encoded = mfd::encode_guest_state(full_state());
    const auto decoded = mfd::decode_guest_state(encoded);
    REQUIRE(decoded.has_value());
    CHECK(mfd::encode_guest_state(*decoded) == encoded);
    CHECK(decoded->run.status == RunStatus::Inmigrate);
    CHECK(decoded->migration.status == MigrationStatus::Failed);
    CHECK(decoded->migration.incoming == Incoming::Started);
    CHECK(decoded->migration.job.kind == JobKind::Load);
    CHECK(decoded->fdsets.at(0).members.at(0).number == 17);
}

TEST_CASE("a state in which anything is missing, unknown or of another type is refused",
          "[state]") {
    const json encoded = mfd::encode_guest_state(full_state());
    for (const auto& [name, value] : encoded.items()) {
        CAPTURE(name);
        json lacks = encoded;
        lacks.erase(name);
        CHECK_FALSE(mfd::decode_guest_state(lacks).has_value());
    }
    json wrong = encoded;
    wrong["run"]["status"] = "flying";
    CHECK(mfd::decode_guest_state(wrong).error().what.find("flying") != std::string::npos);
    wrong = encoded;
    wrong["memory"][0]["memory"] = 3;
    CHECK_FALSE(mfd::decode_guest_state(wrong).has_value());
    CHECK_FALSE(mfd::decode_guest_state(json::array()).has_value());
}

TEST_CASE("what a loaded file held besides RAM comes back byte for byte", "[state]") {
    LoadedState state;
    state.configuration.machine = "pc-i440fx-10.0";
    state.configuration.uuid.emplace().fill(std::byte{0xfe});
    state.configuration.target_page_bits = 12;
    state.blocks = {{"pc.ram", 1 << 20}, {"/rom@etc/x", 4096}};
    state.switchover_start = false;
    state.early_devices = {{1, "early", 0, 2, {}}};
    state.devices = {{7, "0000:00:01.0/dev", 3, 4, {std::byte{0}, std::byte{0xff}}}};
    state.vmdescription = "{\"page_size\": 4096}";
    const auto back = mfd::decode_loaded_state(mfd::encode_loaded_state(state));
    REQUIRE(back.has_value());
    CHECK(back->configuration == state.configuration);
    REQUIRE(back->blocks.size() == 2);
    CHECK(back->blocks[1].idstr == "/rom@etc/x");
    CHECK(back->blocks[0].used_length == 1 << 20);
    CHECK(back->switchover_start == false);
    CHECK(back->early_devices == state.early_devices);
    CHECK(back->devices == state.devices);
    CHECK(back->vmdescription == state.vmdescription);
    CHECK_FALSE(mfd::decode_loaded_state(json::object()).has_value());
}
