#include "qmp/ctl/typed_text.hpp"

#include "qmp/ctl/table.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace mfd::ctl;
using mfd::qmp::Json;

namespace {

const Json kTypes = Json::parse(R"([
  {"name": "object-add", "meta-type": "command", "arg-type": "1", "ret-type": "0"},
  {"name": "1", "meta-type": "object", "tag": "qom-type", "members": [
    {"name": "qom-type", "type": "2"}, {"name": "id", "type": "str"}],
   "variants": [{"case": "ram", "type": "3"}]},
  {"name": "2", "meta-type": "enum", "values": ["ram", "file"]},
  {"name": "3", "meta-type": "object", "members": [
    {"name": "size", "type": "int"}, {"name": "share", "type": "bool", "default": null},
    {"name": "host-nodes", "type": "[int]", "default": null}]},
  {"name": "[int]", "meta-type": "array", "element-type": "int"},
  {"name": "4", "meta-type": "alternate"},
  {"name": "int", "meta-type": "builtin", "json-type": "int"},
  {"name": "str", "meta-type": "builtin", "json-type": "string"},
  {"name": "bool", "meta-type": "builtin", "json-type": "boolean"}
])");

Json value(const std::string& type, Unit unit, std::string_view text) {
    const SchemaHelp schema(kTypes);
    auto typed = typed_value(schema, "it", type, unit, text);
    return typed ? *typed : Json("error: " + typed.error().what);
}

} // namespace

TEST_CASE("numbers take the unit of what they count", "[ctl]") {
    CHECK(value("int", Unit::BytesPerSecond, "64MiB/s") == Json(67108864));
    CHECK(value("int", Unit::BytesPerSecond, "1.5G") == Json(1610612736));
    CHECK(value("int", Unit::Bytes, "4K") == Json(4096));
    CHECK(value("int", Unit::Milliseconds, "300") == Json(300));
    CHECK(value("int", Unit::Milliseconds, "1.5s") == Json(1500));
    CHECK(value("int", Unit::Milliseconds, "2min") == Json(120000));
    CHECK(value("int", Unit::Percent, "20%") == Json(20));
    CHECK(value("int", Unit::None, "8") == Json(8));
}

TEST_CASE("a value of the wrong kind is refused with what would do", "[ctl]") {
    CHECK(value("int", Unit::None, "8K") == Json("error: it: '8K' is no whole number"));
    CHECK(value("int", Unit::Milliseconds, "3 days").get<std::string>().find("300ms, 1.5s") !=
          std::string::npos);
    CHECK(value("int", Unit::Milliseconds, "0.5ms").get<std::string>().starts_with("error: "));
    CHECK(value("int", Unit::BytesPerSecond, "fast/s").get<std::string>().find("no rate") !=
          std::string::npos);
    CHECK(value("bool", Unit::None, "maybe") == Json("error: it: 'maybe' is neither on nor off"));
    CHECK(value("2", Unit::None, "rom") == Json("error: it: 'rom' is none of ram, file"));
    CHECK(value("[int]", Unit::None, "1;2").get<std::string>().starts_with("error: it: "));
}

TEST_CASE("switches, names, texts and arrays are read by the schema's type", "[ctl]") {
    CHECK(value("bool", Unit::None, "on") == Json(true));
    CHECK(value("bool", Unit::None, "no") == Json(false));
    CHECK(value("2", Unit::None, "file") == Json("file"));
    CHECK(value("str", Unit::None, "17") == Json("17"));
    CHECK(value("4", Unit::None, "") == Json(""));
    CHECK(value("[int]", Unit::None, "0,2") == Json({0, 2}));
    CHECK(value("[int]", Unit::None, "[1]") == Json::array({1}));
}

TEST_CASE("an object is described as on the command line", "[ctl]") {
    const SchemaHelp schema(kTypes);
    const auto arguments = object_arguments(schema, "ram,id=a,,b,size=1G,share,host-nodes=1");
    REQUIRE(arguments.has_value());
    CHECK(*arguments == Json{{"qom-type", "ram"},
                             {"id", "a,b"},
                             {"size", 1073741824},
                             {"share", true},
                             {"host-nodes", {1}}});
    CHECK(object_arguments(schema, "qom-type=file,id=x").has_value());
}

TEST_CASE("an object that lacks its type or id is refused, and a slip of the hand is named",
          "[ctl]") {
    const SchemaHelp schema(kTypes);
    const auto text = [&](std::string_view object) {
        const auto arguments = object_arguments(schema, object);
        return arguments ? std::string("taken") : arguments.error().what;
    };
    CHECK(text("id=x,size=1G").find("begins with no type") != std::string::npos);
    CHECK(text("").find("begins with no type") != std::string::npos);
    CHECK(text("ram,size=1G").find("lacks id=ID") != std::string::npos);
    CHECK(text("ram,id=x,sise=1G") == "the server knows no 'sise'. Did you mean 'size'?");
    CHECK(text("rum,id=x") == "type: 'rum' is none of ram, file");
}

TEST_CASE("only near names are suggested", "[ctl]") {
    const std::vector<std::string> known{"mapped-ram", "multifd", "events"};
    CHECK(suggestion("mapedram", known) == " Did you mean 'mapped-ram'?");
    CHECK(suggestion("mapped", known) == " Did you mean 'mapped-ram'?");
    CHECK(suggestion("zzzzzz", known).empty());
    CHECK(suggestion("x", {}).empty());
}

TEST_CASE("parameters are shown with their units", "[ctl]") {
    CHECK(parameter_text("max-bandwidth", 67108864U) == "64.00 MiB/s");
    CHECK(parameter_text("max-bandwidth", 0U) == "unlimited");
    CHECK(parameter_text("avail-switchover-bandwidth", 0U) == "as measured");
    CHECK(parameter_text("downtime-limit", 300U) == "300 ms");
    CHECK(parameter_text("cpu-throttle-initial", 20U) == "20 %");
    CHECK(parameter_text("multifd-channels", 2U) == "2");
    CHECK(parameter_text("direct-io", true) == "on");
    CHECK(parameter_text("tls-creds", "") == "(empty)");
    CHECK(parameter_text("block-bitmap-mapping", Json::array()) == "[]");
}

TEST_CASE("a table pads its columns and ends its lines without blanks", "[ctl]") {
    CHECK(table({"ID", "SIZE", "X"}, {Align::Left, Align::Right, Align::Left},
                {{"ram", "1 B", ""}, {"a", "12 B", "yes"}}) == "ID   SIZE  X\n"
                                                               "ram   1 B\n"
                                                               "a    12 B  yes\n");
    CHECK(table({"ID"}, {Align::Left}, {}).empty());
}
