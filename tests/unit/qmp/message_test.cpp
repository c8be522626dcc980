#include "qmp/message.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <string>

using namespace mfd::qmp;

namespace {

struct Refused {
    const char* text;
    const char* desc;
};

std::string desc_of(const char* text, Band allowed) {
    return std::get<Failure>(decode_request(Json::parse(text), allowed)).desc;
}

} // namespace

TEST_CASE("a message that is no request is refused with QEMU's text", "[message]") {
    const auto one = GENERATE(values<Refused>({
        {"[]", "QMP input must be a JSON object"},
        {"17", "QMP input must be a JSON object"},
        {"null", "QMP input must be a JSON object"},
        {"{}", "QMP input lacks member 'execute'"},
        {R"({"arguments": {}})", "QMP input lacks member 'execute'"},
        {R"({"execute": null})", "QMP input member 'execute' must be a string"},
        {R"({"execute": ["stop"]})", "QMP input member 'execute' must be a string"},
        {R"({"execute": "x", "arguments": null})",
         "QMP input member 'arguments' must be an object"},
        {R"({"execute": "x", "extra": 1})", "QMP input member 'extra' is unexpected"},
        {R"({"exec-oob": "x"})", "QMP input member 'exec-oob' is unexpected"},
    }));
    CHECK(desc_of(one.text, Band::InBand) == one.desc);
}

TEST_CASE("exec-oob is a way to name the command where it was negotiated", "[message]") {
    const auto request =
        std::get<Request>(decode_request(Json::parse(R"({"exec-oob": "x"})"), Band::OutOfBand));
    CHECK(request.command == "x");
    CHECK(request.band == Band::OutOfBand);
    CHECK(desc_of(R"({"exec-oob": 5})", Band::OutOfBand) ==
          "QMP input member 'exec-oob' must be a string");
    CHECK(desc_of(R"({"exec-oob": "x", "execute": "x"})", Band::OutOfBand) ==
          "QMP input member 'execute' clashes with 'exec-oob'");
}

TEST_CASE("a request keeps its arguments, and they may be absent", "[message]") {
    const auto with = std::get<Request>(
        decode_request(Json::parse(R"({"execute": "x", "arguments": {"a": 1}})"), Band::InBand));
    CHECK(with.arguments == Json{{"a", 1}});
    const auto without =
        std::get<Request>(decode_request(Json::parse(R"({"execute": "x"})"), Band::InBand));
    CHECK(without.arguments == Json::object());
}

TEST_CASE("replies end with the id if there is one, even null", "[message]") {
    CHECK(encode_reply(Json::object(), std::nullopt) == "{\"return\": {}}\r\n");
    CHECK(encode_reply(1, Json(nullptr)) == "{\"return\": 1, \"id\": null}\r\n");
    CHECK(encode_failure({ErrorClass::CommandNotFound, "no\n"}, Json("k")) ==
          "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\\n\"}, \"id\": \"k\"}\r\n");
}

TEST_CASE("an event has a time stamp, and data only if it carries some", "[message]") {
    const std::chrono::system_clock::time_point when(
        std::chrono::microseconds(1'700'000'000'000'042));
    CHECK(encode_event("STOP", std::nullopt, when) ==
          "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 42}, \"event\": "
          "\"STOP\"}\r\n");
    CHECK(encode_event("MIGRATION", Json{{"status", "setup"}}, when) ==
          "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 42}, \"event\": "
          "\"MIGRATION\", \"data\": {\"status\": \"setup\"}}\r\n");
}

TEST_CASE("the greeting names version and capabilities", "[message]") {
    CHECK(encode_greeting({10, 0, 13, "p"}) ==
          "{\"QMP\": {\"version\": {\"package\": \"p\", \"qemu\": {\"major\": 10, \"micro\": 13, "
          "\"minor\": 0}}, \"capabilities\": [\"oob\"]}}\r\n");
}
