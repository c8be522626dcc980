#include "qmp/ctl/request_text.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace mfd::ctl;
using mfd::qmp::Json;

namespace {

Json arguments(const std::vector<std::string>& words) {
    auto parsed = parse_arguments(words);
    return parsed ? std::move(*parsed) : Json(parsed.error().what);
}

} // namespace

TEST_CASE("values read as JSON where they can, as strings otherwise", "[ctl]") {
    CHECK(arguments({"a=1", "b=true", "c=x y", "d=\"1\"", "e=[1, 2]", "f={\"g\": null}",
                     "h=", "i=1=2"}) == Json{{"a", 1},
                                             {"b", true},
                                             {"c", "x y"},
                                             {"d", "1"},
                                             {"e", {1, 2}},
                                             {"f", {{"g", nullptr}}},
                                             {"h", ""},
                                             {"i", "1=2"}});
    CHECK(arguments({}) == Json::object());
}

TEST_CASE("dots in a key go into nested objects", "[ctl]") {
    CHECK(arguments({"addr.transport=file", "addr.offset=0", "x=1"}) ==
          Json{{"addr", {{"transport", "file"}, {"offset", 0}}}, {"x", 1}});
}

TEST_CASE("a single JSON object stands for all arguments", "[ctl]") {
    CHECK(arguments({R"({"uri": "file:/x"})"}) == Json{{"uri", "file:/x"}});
}

TEST_CASE("words that are no arguments are refused and quoted", "[ctl]") {
    CHECK(arguments({"x"}) == "'x' is neither JSON nor key=value");
    CHECK(arguments({"=1"}) == "'=1' is neither JSON nor key=value");
    CHECK(arguments({"{\"a\": "}) == "the arguments are not valid JSON: {\"a\": ");
    CHECK(arguments({"a=1", "a=2"}) == "'a=2': given twice");
    CHECK(arguments({"a=1", "a.b=2"}) ==
          "'a.b=2': an earlier argument gave a value where this wants members");
}

TEST_CASE("a line is split at blanks outside of quotes and brackets", "[ctl]") {
    CHECK(split_words("  cmd  a=1\tb=\"x \\\" y\" c=[1, {\"d\": 2}] ") ==
          std::vector<std::string>{"cmd", "a=1", "b=\"x \\\" y\"", "c=[1, {\"d\": 2}]"});
    CHECK(split_words(" \t").empty());
}

TEST_CASE("a request is a command with words or a JSON object", "[ctl]") {
    CHECK(*parse_request("query-status") == Json{{"execute", "query-status"}});
    CHECK(*parse_request("stop x=1") == Json{{"execute", "stop"}, {"arguments", {{"x", 1}}}});
    CHECK(*parse_request(" {\"execute\": \"a\",\n \"id\": 1}\n") ==
          Json{{"execute", "a"}, {"id", 1}});
    CHECK_FALSE(parse_request("").has_value());
    CHECK_FALSE(parse_request("{]").has_value());
}

TEST_CASE("only an open JSON object asks for another line", "[ctl]") {
    CHECK(needs_more("{"));
    CHECK(needs_more(" {\"a\": [1,"));
    CHECK(needs_more("{\"a}"));
    CHECK_FALSE(needs_more("{\"a\": \"}\"}"));
    CHECK_FALSE(needs_more("{\"a\": \"\\\\\"}"));
    CHECK_FALSE(needs_more("{}}"));
    CHECK_FALSE(needs_more("stop x={"));
    CHECK_FALSE(needs_more(""));
}
