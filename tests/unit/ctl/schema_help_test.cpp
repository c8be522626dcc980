#include "qmp/ctl/schema_help.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace mfd::ctl;
using mfd::qmp::Json;
using Names = std::vector<std::string>;

namespace {

const Json kSchema = Json::parse(R"([
  {"name": "migrate", "meta-type": "command", "arg-type": "1", "ret-type": "0"},
  {"name": "migrate-set", "meta-type": "command", "arg-type": "2", "ret-type": "0"},
  {"name": "stop", "meta-type": "command", "arg-type": "0", "ret-type": "0"},
  {"name": "STOP", "meta-type": "event", "arg-type": "0"},
  {"name": "0", "meta-type": "object", "members": []},
  {"name": "1", "meta-type": "object", "members": [
    {"name": "uri", "type": "str"}, {"name": "detach", "type": "bool", "default": null},
    {"name": "addr", "type": "4", "default": null}]},
  {"name": "2", "meta-type": "object", "members": [{"name": "mode", "type": "3"},
    {"name": "list", "type": "[3]", "default": null}]},
  {"name": "3", "meta-type": "enum", "values": ["none", "legacy"],
   "members": [{"name": "none"}, {"name": "legacy"}]},
  {"name": "[3]", "meta-type": "array", "element-type": "3"},
  {"name": "4", "meta-type": "object", "tag": "transport",
   "members": [{"name": "transport", "type": "3"}], "variants": [{"case": "none", "type": "5"}]},
  {"name": "5", "meta-type": "object", "members": [{"name": "filename", "type": "str"}]},
  {"name": "str", "meta-type": "builtin", "json-type": "string"},
  {"name": "bool", "meta-type": "builtin", "json-type": "boolean"},
  {"name": "odd", "meta-type": "command", "arg-type": "6", "ret-type": "0"},
  {"name": "6", "meta-type": "object", "members": [{"name": "x", "type": "gone"},
   {"name": "y", "type": "5"}]},
  17, {"name": 4}
])");

} // namespace

TEST_CASE("the first word completes to commands, not to events", "[ctl]") {
    const SchemaHelp help(kSchema);
    CHECK(help.commands() == Names{"migrate", "migrate-set", "odd", "stop"});
    CHECK(help.complete("", "mi") == Names{"migrate", "migrate-set"});
    CHECK(help.complete("  ", "S").empty());
    CHECK(help.complete("help ", "st") == Names{"stop"});
    CHECK(help.complete("", "e") == Names{"exit"});
}

TEST_CASE("later words complete to the command's arguments", "[ctl]") {
    const SchemaHelp help(kSchema);
    CHECK(help.complete("migrate ", "") == Names{"addr.", "detach=", "uri="});
    CHECK(help.complete("migrate detach=true ", "u") == Names{"uri="});
    CHECK(help.complete("stop ", "").empty());
    CHECK(help.complete("unknown ", "").empty());
}

TEST_CASE("values complete for booleans and enumerations", "[ctl]") {
    const SchemaHelp help(kSchema);
    CHECK(help.complete("migrate ", "detach=") == Names{"detach=false", "detach=true"});
    CHECK(help.complete("migrate-set ", "mode=l") == Names{"mode=legacy"});
    CHECK(help.complete("migrate ", "uri=").empty());
}

TEST_CASE("nested arguments complete through dots, variants included", "[ctl]") {
    const SchemaHelp help(kSchema);
    CHECK(help.complete("migrate ", "addr.") == Names{"addr.filename=", "addr.transport="});
    CHECK(help.complete("migrate ", "addr.transport=n") == Names{"addr.transport=none"});
    CHECK(help.complete("migrate ", "nope.").empty());
}

TEST_CASE("names within JSON complete by their place", "[ctl]") {
    const SchemaHelp help(kSchema);
    CHECK(help.complete("{\"", "") == Names{"arguments", "execute", "id"});
    CHECK(help.complete("{\"execute\": \"", "s") == Names{"stop"});
    CHECK(help.complete("{\"execute\": \"migrate-set\", \"arguments\": {\"", "") ==
          Names{"list", "mode"});
    CHECK(help.complete("{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"", "").empty());
    // The command comes later, or is not complete.
    CHECK(help.complete("{\"arguments\": {\"", "").empty());
    CHECK(help.complete("{\"arguments\": {}, {\"execute\": \"migrate", "").empty());
}

TEST_CASE("a command is described by one line per argument", "[ctl]") {
    const SchemaHelp help(kSchema);
    CHECK(help.describe("migrate-set") ==
          "  mode=none|legacy\n  list=array of none|legacy  (optional)\n");
    CHECK(help.describe("stop") == "  no arguments\n");
    // Types that the schema does not have go by their names.
    CHECK(help.describe("odd") == "  x=gone\n  y=object\n");
    CHECK(help.kind("gone").empty());
    CHECK(help.describe("STOP").empty());
    CHECK(help.describe("nope").empty());
}

TEST_CASE("without a schema nothing is offered but the shell's own words", "[ctl]") {
    const SchemaHelp help(Json::array());
    CHECK(help.complete("", "") == Names{".fd", "exit", "help"});
    CHECK(help.complete("migrate ", "").empty());
}
