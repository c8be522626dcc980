#include "qmp/schema_check.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <limits>
#include <string>

using namespace mfd::qmp;
using namespace mfd::qmp::schema;

namespace {

TypeRef file_address() {
    return object("FileArgs", {required("filename", str()), required("offset", uint64())});
}

// Some of each kind, with a union inside an array inside the arguments, as `migrate` has.
TypeRef arguments() {
    const TypeRef transport = enumeration("Transport", {"file", "exec"});
    const TypeRef address = object("Address", {required("transport", transport)},
                                   Variants{"transport", {{"file", file_address()}}});
    const TypeRef channel = object(
        "Channel", {required("type", enumeration("Type", {"main"})), required("addr", address)});
    return object("Arguments", {
                                   optional("channels", array(channel)),
                                   optional("i", int64()),
                                   optional("b", uint8()),
                                   optional("h", uint16()),
                                   optional("w", uint32()),
                                   optional("u", uint64()),
                                   optional("size", size()),
                                   optional("on", boolean()),
                                   optional("mode", enumeration("Mode", {"none", "legacy"})),
                                   optional("rate", number()),
                                   optional("name", str()),
                                   optional("tls", str_or_null()),
                                   optional("nodes", array(uint16())),
                                   optional("anything", any()),
                                   optional("nothing", null()),
                               });
}

std::string fault_of(const TypeRef& type, const std::string& text) {
    Json value = Json::parse(text);
    return check(*type, value).value_or("");
}

struct Faulty {
    const char* text;
    const char* fault;
};

} // namespace

TEST_CASE("each fault of arguments gets QEMU's text", "[schema]") {
    const auto one = GENERATE(values<Faulty>({
        {R"({"i": "1"})", "Invalid parameter type for 'i', expected: integer"},
        {R"({"i": 1.5})", "Invalid parameter type for 'i', expected: integer"},
        {R"({"i": null})", "Invalid parameter type for 'i', expected: integer"},
        {R"({"i": 9223372036854775808})", "Invalid parameter type for 'i', expected: integer"},
        {R"({"b": 256})", "Parameter 'b' expects uint8_t"},
        {R"({"b": -1})", "Parameter 'b' expects uint8_t"},
        {R"({"b": "1"})", "Parameter 'b' expects uint64"},
        {R"({"b": 1.0})", "Parameter 'b' expects uint64"},
        {R"({"h": 65536})", "Parameter 'h' expects uint16_t"},
        {R"({"w": 4294967296})", "Parameter 'w' expects uint32_t"},
        {R"({"u": true})", "Parameter 'u' expects uint64"},
        {R"({"u": 1e3})", "Parameter 'u' expects uint64"},
        {R"({"size": 18446744073709551616})", "Parameter 'size' expects uint64"},
        {R"({"on": 1})", "Invalid parameter type for 'on', expected: boolean"},
        {R"({"mode": "full"})", "Parameter 'mode' does not accept value 'full'"},
        {R"({"mode": ""})", "Parameter 'mode' does not accept value ''"},
        {R"({"mode": 0})", "Invalid parameter type for 'mode', expected: string"},
        {R"({"rate": "1"})", "Invalid parameter type for 'rate', expected: number"},
        {R"({"name": 5})", "Invalid parameter type for 'name', expected: string"},
        {R"({"tls": 5})", "Invalid parameter type for 'tls', expected: StrOrNull"},
        {R"({"nodes": [1, 65536]})", "Parameter 'null' expects uint16_t"},
        {R"({"nodes": [1, "2"]})", "Parameter 'nodes[1]' expects uint64"},
        {R"({"nodes": 1})", "Invalid parameter type for 'nodes', expected: array"},
        {R"({"nothing": 0})", "Invalid parameter type for 'nothing', expected: null"},
        {R"({"x": 1})", "Parameter 'x' is unexpected"},
        {R"({"channels": [5]})", "Invalid parameter type for 'channels[0]', expected: object"},
        {R"({"channels": [{}]})", "Parameter 'channels[0].type' is missing"},
        {R"({"channels": [{"type": "other"}]})", "Parameter 'type' does not accept value 'other'"},
        {R"({"channels": [{"type": "main"}]})", "Parameter 'channels[0].addr' is missing"},
        {R"({"channels": [{"type": "main", "addr": {}}]})",
         "Parameter 'channels[0].addr.transport' is missing"},
        {R"({"channels": [{"type": "main", "addr": {"transport": "x"}}]})",
         "Parameter 'transport' does not accept value 'x'"},
        {R"({"channels": [{"type": "main", "addr": {"transport": "file"}}]})",
         "Parameter 'channels[0].addr.filename' is missing"},
        {R"({"channels": [{"type": "main", "addr": {"transport": "file", "filename": "f",
             "offset": "0"}}]})",
         "Parameter 'channels[0].addr.offset' expects uint64"},
        {R"({"channels": [{"type": "main", "addr": {"transport": "file", "filename": "f",
             "offset": 0, "x": 1}}]})",
         "Parameter 'channels[0].addr.x' is unexpected"},
        {R"({"channels": [{"type": "main", "addr": {"transport": "exec", "filename": "f"}}]})",
         "Parameter 'channels[0].addr.filename' is unexpected"},
        {R"([])", "Invalid parameter type for '', expected: object"},
    }));
    CAPTURE(one.text);
    CHECK(fault_of(arguments(), one.text) == one.fault);
}

TEST_CASE("values at the ends of their ranges are accepted", "[schema]") {
    const std::string text =
        GENERATE(as<std::string>{}, R"({})", R"({"i": -9223372036854775808})",
                 R"({"i": 9223372036854775807})", R"({"b": 0})", R"({"b": 255})", R"({"h": 65535})",
                 R"({"w": 4294967295})", R"({"u": 18446744073709551615})", R"({"rate": 1})",
                 R"({"rate": -1.5})", R"({"tls": null, "name": ""})",
                 R"({"tls": "x", "anything": [null, {"a": 1}]})",
                 R"({"channels": [], "nodes": [], "nothing": null})");
    CHECK(fault_of(arguments(), text).empty());
}

TEST_CASE("the JSON type alone decides which of an alternate's types is meant", "[schema]") {
    const TypeRef range = object("Range", {required("from", int64())});
    const TypeRef all = alternate(
        "All", {boolean(), uint8(), enumeration("Mode", {"on"}), range, array(int64()), null()});
    for (const char* text : {"true", "7", R"("on")", R"({"from": 1})", "[1, 2]", "null"}) {
        INFO(text);
        CHECK(fault_of(all, text).empty());
    }
    // What is meant is then checked as such.
    const TypeRef arguments = object("Arguments", {required("x", all)});
    CHECK(fault_of(arguments, R"({"x": 256})") == "Parameter 'x' expects uint8_t");
    CHECK(fault_of(arguments, R"({"x": "off"})") == "Parameter 'x' does not accept value 'off'");
    CHECK(fault_of(arguments, R"({"x": {}})") == "Parameter 'x.from' is missing");
    CHECK(fault_of(arguments, R"({"x": [true]})") ==
          "Invalid parameter type for 'x[0]', expected: integer");
    CHECK(fault_of(arguments, R"({"x": 1.5})") == "Invalid parameter type for 'x', expected: All");

    CHECK(fault_of(alternate("A", {number()}), "1.5").empty());
    CHECK(fault_of(alternate("A", {any()}), "[{}]").empty());
    const TypeRef nested = alternate("Outer", {str(), alternate("Inner", {int64(), boolean()})});
    CHECK(fault_of(nested, "false").empty());
    CHECK(fault_of(nested, "null") == "Invalid parameter type for '', expected: Outer");
}

TEST_CASE("a negative number where an unsigned one is wanted counts modulo 2^64", "[schema]") {
    Json value = {{"u", -1}};
    REQUIRE_FALSE(check(*arguments(), value).has_value());
    CHECK(value["u"].get<std::uint64_t>() == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("members are checked in declared order, unknown ones after them", "[schema]") {
    const TypeRef type = object("Ordered", {required("z", int64()), required("a", int64())});
    CHECK(fault_of(type, R"({"extra": 1})") == "Parameter 'z' is missing");
    CHECK(fault_of(type, R"({"a": "x", "z": "x"})") ==
          "Invalid parameter type for 'z', expected: integer");
    CHECK(fault_of(type, R"({"extra": 1, "z": 1})") == "Parameter 'a' is missing");
    CHECK(fault_of(type, R"({"extra": 1, "z": 1, "a": 2})") == "Parameter 'extra' is unexpected");
}

TEST_CASE("the members of nested variants lie in one object", "[schema]") {
    const TypeRef inet = object("Inet", {required("host", str())});
    const TypeRef socket =
        object("Socket", {required("type", enumeration("SocketType", {"inet", "fd"}))},
               Variants{"type", {{"inet", inet}}});
    const TypeRef address =
        object("Address", {required("transport", enumeration("Transport", {"socket"}))},
               Variants{"transport", {{"socket", socket}}});
    CHECK(fault_of(address, R"({"transport": "socket"})") == "Parameter 'type' is missing");
    CHECK(fault_of(address, R"({"transport": "socket", "type": "inet"})") ==
          "Parameter 'host' is missing");
    CHECK(fault_of(address, R"({"transport": "socket", "type": "inet", "host": "h"})").empty());
    CHECK(fault_of(address, R"({"transport": "socket", "type": "fd", "host": "h"})") ==
          "Parameter 'host' is unexpected");
}

TEST_CASE("an object extends another by its members, base first", "[schema]") {
    const TypeRef base = object("Base", {required("size", size())});
    const TypeRef file = object("File", extend(base, {required("path", str())}));
    CHECK(fault_of(file, "{}") == "Parameter 'size' is missing");
    CHECK(fault_of(file, R"({"size": 1})") == "Parameter 'path' is missing");
}
