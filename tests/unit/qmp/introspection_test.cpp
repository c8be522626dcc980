#include "qmp/introspection.hpp"

#include "qmp/reference.hpp"
#include "qmp/schema_check.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

using namespace mfd::qmp;
using namespace mfd::qmp::schema;

namespace {

Outcome nothing(const Json&) {
    return Json::object();
}

void declare(Dispatcher& dispatcher) {
    const TypeRef status = enumeration("Status", {{"setup", "being prepared"}, "active"});
    const TypeRef file = object("FileOptions", {required("path", str(), "a | b")});
    dispatcher.add(Command{
        .name = "object-add",
        .doc = "Adds an object.",
        .arguments = object("ObjectOptions",
                            {required("kind", enumeration("ObjectKind", {"file", "ram"})),
                             optional("sizes", array(uint64())), optional("tls", str_or_null()),
                             optional("x-sync", boolean(), "", {"unstable"})},
                            Variants{"kind", {{"file", file}}}),
        .handler = immediate(nothing),
    });
    dispatcher.add(Command{.name = "query-status",
                           .returns = object("StatusInfo", {required("status", status)}),
                           .access = Access::Query,
                           .handler = immediate(nothing)});
    dispatcher.add(Command{.name = "yank",
                           .out_of_band = OutOfBand::Allowed,
                           .features = {"deprecated"},
                           .handler = immediate(nothing)});
    dispatcher.add(EventType{.name = "MIGRATION",
                             .doc = "The state changed.",
                             .data = object("MigrationEvent", {required("status", status)})});
    dispatcher.add(EventType{.name = "STOP"});
}

Json find(const Json& schema, const std::string& name) {
    for (const Json& entry : schema)
        if (entry["name"] == name)
            return entry;
    return nullptr;
}

// All names an entry refers to, wherever they stand.
void collect_references(const Json& value, std::set<std::string>& out) {
    for (const char* key : {"type", "arg-type", "ret-type", "element-type"})
        if (value.is_object() && value.contains(key))
            out.insert(value[key].get<std::string>());
    for (const Json& inner : value)
        if (inner.is_structured())
            collect_references(inner, out);
}

} // namespace

TEST_CASE("the schema is as its own declaration says, and closed", "[introspection]") {
    Dispatcher dispatcher({});
    declare(dispatcher);
    const Json schema = describe_schema(dispatcher);
    CHECK_FALSE(find_mismatch(*array(schema_info()), schema).has_value());

    std::set<std::string> names;
    std::set<std::string> references;
    for (const Json& entry : schema) {
        CHECK(names.insert(entry["name"].get<std::string>()).second);
        collect_references(entry, references);
    }
    for (const std::string& reference : references)
        CHECK(names.count(reference) == 1);
}

TEST_CASE("commands, events and types look as in QEMU's schema", "[introspection]") {
    Dispatcher dispatcher({});
    declare(dispatcher);
    const Json schema = describe_schema(dispatcher);

    CHECK(find(schema, "yank")["allow-oob"] == true);
    CHECK(find(schema, "yank")["features"] == Json{"deprecated"});
    CHECK_FALSE(find(schema, "query-status").contains("allow-oob"));
    CHECK(find(schema, "str") ==
          Json{{"name", "str"}, {"meta-type", "builtin"}, {"json-type", "string"}});
    CHECK(find(schema, "int")["json-type"] == "int");
    CHECK(find(schema, "[int]")["element-type"] == "int");

    const Json options = find(schema, find(schema, "object-add")["arg-type"]);
    const std::string empty = find(schema, "STOP")["arg-type"];
    CHECK(find(schema, empty)["members"] == Json::array());
    CHECK(options["tag"] == "kind");
    CHECK(options["members"][1] ==
          Json{{"name", "sizes"}, {"type", "[int]"}, {"default", nullptr}});
    CHECK(options["members"][3]["features"] == Json{"unstable"});
    CHECK(find(schema, options["variants"][0]["type"])["members"][0]["name"] == "path");
    CHECK(options["variants"][1] == Json{{"case", "ram"}, {"type", empty}});
    CHECK(find(schema, options["members"][2]["type"])["members"] ==
          Json::parse(R"([{"type": "str"}, {"type": "null"}])"));

    const Json status =
        find(schema, find(schema, find(schema, "MIGRATION")["arg-type"])["members"][0]["type"]);
    CHECK(status["meta-type"] == "enum");
    CHECK(status["values"] == Json::parse(R"(["setup", "active"])"));
}

TEST_CASE("the reference page has every command, event, member and value", "[introspection]") {
    Dispatcher dispatcher({});
    declare(dispatcher);
    std::ostringstream page;
    write_reference(page, dispatcher);
    const std::string text = page.str();
    for (const char* part :
         {"### object-add", "Adds an object.", "`sizes` | array of uint64 | optional", "a \\| b",
          "### MIGRATION", "### STOP", "- `setup`: being prepared", "[Status](#status)",
          "*unstable.*", "May be executed out of band.", "### qmp_capabilities"})
        CHECK(text.find(part) != std::string::npos);
}

TEST_CASE("declarations that contradict themselves are not taken", "[introspection]") {
    Dispatcher dispatcher({});
    const auto with = [](TypeRef arguments) {
        return Command{
            .name = "x", .arguments = std::move(arguments), .handler = immediate(nothing)};
    };
    CHECK_THROWS_AS(dispatcher.add(with(array(str()))), std::logic_error);
    CHECK_THROWS_AS(dispatcher.add(Command{.name = "x"}), std::logic_error);
    CHECK_THROWS_AS(
        dispatcher.add(with(object("O", {required("tag", str())}, Variants{"tag", {}}))),
        std::logic_error);
    CHECK_THROWS_AS(dispatcher.add(with(object("O", {required("tag", enumeration("E", {"a"}))},
                                               Variants{"tag", {{"b", empty()}}}))),
                    std::logic_error);
    dispatcher.add(with(empty()));
    CHECK_THROWS_AS(dispatcher.add(with(empty())), std::logic_error);
}
