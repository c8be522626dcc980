#include "proto/vmdescription.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

using mfd::parse_vmdescription;

namespace {

// Bytes of the one device whose members, besides its names, are given.
std::uint64_t body_bytes(const std::string& members) {
    const auto parsed = parse_vmdescription(
        R"({"devices": [{"name": "d", "instance_id": 3, "version": 2, )" + members + "}]}");
    if (!parsed.has_value() || parsed->devices.size() != 1)
        throw std::runtime_error("not one device: " + members);
    return parsed->devices[0].body_bytes;
}

std::string refusal(const std::string& text) {
    const auto parsed = parse_vmdescription(text);
    return parsed.has_value() ? "accepted" : parsed.error().what;
}

std::string refused_device(const std::string& members) {
    return refusal(R"({"devices": [{"name": "d", )" + members + "}]}");
}

} // namespace

TEST_CASE("a device's length is the sum of its fields and subsections", "[vmdescription]") {
    CHECK(body_bytes(R"("fields": [])") == 0);
    CHECK(body_bytes(R"("fields": [{"name": "a", "type": "uint32", "size": 4}])") == 4);
    CHECK(body_bytes(R"("fields": [{"size": 4}, {"size": 8, "array_len": 3}])") == 28);
    CHECK(body_bytes(R"("fields": [{"size": 8, "array_len": 0}])") == 0);
    CHECK(body_bytes(R"("subsections": [{"vmsd_name": "d/s", "fields": [{"size": 2}]}])") ==
          1 + 1 + 3 + 4 + 2);
    CHECK(body_bytes(R"("subsections": [{"vmsd_name": "d/s", "subsections": [)"
                     R"({"vmsd_name": "d/s/t"}], "fields": [{"size": 2}]}])") ==
          1 + 1 + 3 + 4 + 2 + 1 + 1 + 5 + 4);
}

TEST_CASE("what is inside a structure is counted with the structure", "[vmdescription]") {
    CHECK(body_bytes(R"("fields": [{"name": "s", "type": "struct", "size": 12, "struct": )"
                     R"({"vmsd_name": "x", "fields": [{"size": 5}, {"size": 7}], )"
                     R"("subsections": [{"vmsd_name": "y", "fields": [{"size": 9}]}]}}])") == 12);
    CHECK(body_bytes(R"("other": {"fields": [{"size": 5}]}, "fields": [{"size": 1}])") == 1);
}

TEST_CASE("a device that writes its section by itself has no version", "[vmdescription]") {
    const auto parsed =
        parse_vmdescription(R"({"devices": [{"name": "slirp", "instance_id": 0, "size": 131,)"
                            R"( "fields": [{"name": "data", "size": 131, "type": "buffer"}]}]})");
    REQUIRE(parsed.has_value());
    REQUIRE(parsed->devices.size() == 1);
    CHECK_FALSE(parsed->devices[0].version.has_value());
    CHECK(parsed->devices[0].body_bytes == 131);
}

TEST_CASE("devices come in order, with name, instance and version", "[vmdescription]") {
    const auto parsed = parse_vmdescription(
        R"({"page_size": 4096, "devices": [{"name": "a", "instance_id": 0, "version": 1},)"
        R"( {"name": "b", "instance_id": 4294967295, "version": 2}]})");
    REQUIRE(parsed.has_value());
    CHECK(parsed->lists_devices);
    CHECK(parsed->page_size == 4096U);
    REQUIRE(parsed->devices.size() == 2);
    CHECK(parsed->devices[0].name == "a");
    CHECK(parsed->devices[1].name == "b");
    CHECK(parsed->devices[1].instance_id == 0xffffffff);
    CHECK(parsed->devices[1].version == 2);
}

TEST_CASE("an object without devices describes none", "[vmdescription]") {
    const auto parsed = parse_vmdescription("{}");
    REQUIRE(parsed.has_value());
    CHECK_FALSE(parsed->lists_devices);
    CHECK(parsed->devices.empty());
}

TEST_CASE("what is no vmdescription is refused", "[vmdescription]") {
    for (const char* text :
         {"", "{", "}", "{]", "{\"devices\": [}", "{} x", "{\"a\": 1e999}", "{\"a\":"})
        CHECK(refusal(text).starts_with("vmdescription is not JSON"));
    for (const char* text : {"1", "-1", "1.5", "null", "true", "\"x\"", "[]"})
        CHECK(refusal(text) == "vmdescription is not an object");
    CHECK(refusal(R"({"devices": [], "devices": []})") == "vmdescription lists its devices twice");
    CHECK(refusal(R"({"page_size": "4096"})") ==
          "vmdescription has a \"page_size\" that is not a natural number");
    CHECK(refusal(R"({"devices": [{"instance_id": 0}]})").find("usable name") != std::string::npos);
}

TEST_CASE("lengths that are no natural numbers, or do not fit, are refused", "[vmdescription]") {
    for (const char* size : {"-1", "1.5", "null", "true", "\"4\"", "{}", "[]"})
        CHECK(refused_device(R"("fields": [{"size": )" + std::string(size) + "}]") ==
              "vmdescription has a \"size\" that is not a natural number");
    const std::string huge = R"({"size": 18446744073709551615})";
    CHECK(refused_device("\"fields\": [" + huge + "]") == "accepted");
    CHECK(refused_device("\"fields\": [" + huge + ", {\"size\": 1}]").find("impossible length") !=
          std::string::npos);
    CHECK(refused_device(R"("fields": [{"size": 4294967296, "array_len": 4294967296}])")
              .find("impossible length") != std::string::npos);
    CHECK(refused_device(R"("subsections": [{"vmsd_name": "", "fields": [)" + huge + "]}]")
              .find("impossible length") != std::string::npos);
    CHECK(refused_device(R"("instance_id": 4294967296)").find("usable name") != std::string::npos);
}

TEST_CASE("a zero byte is no end of the text", "[vmdescription]") {
    using namespace std::string_literals;
    CHECK(refusal("{}\0"s) == "vmdescription is not JSON (byte 2 is zero)");
    CHECK(refusal("{\"devices\": []}\0\0rest"s) == "vmdescription is not JSON (byte 15 is zero)");
}

TEST_CASE("nesting is bounded", "[vmdescription]") {
    const auto nested = [](std::size_t depth) {
        return "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
    };
    CHECK(refusal(nested(127)) == "accepted");
    CHECK(refusal(nested(128)) == "vmdescription nests too deeply");
    CHECK(refusal("{\"a\":" + std::string(1000000, '[')) == "vmdescription nests too deeply");
}
