#include "qmp/json_framer.hpp"

#include "qmp/json_writer.hpp"
#include "qmp/limits.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace mfd::qmp;

namespace {

using Texts = std::vector<std::string>;

std::string show(const JsonItem& item) {
    const auto* fault = std::get_if<JsonFault>(&item);
    return fault != nullptr ? "! " + fault->desc : write_json(std::get<Json>(item));
}

void feed(JsonFramer& framer, std::string_view bytes, Texts& out) {
    while (auto item = framer.next(bytes))
        out.push_back(show(*item));
}

Texts frame(std::string_view bytes) {
    JsonFramer framer;
    Texts out;
    feed(framer, bytes, out);
    return out;
}

Texts frame_in_two(std::string_view bytes, std::size_t cut) {
    JsonFramer framer;
    Texts out;
    feed(framer, bytes.substr(0, cut), out);
    feed(framer, bytes.substr(cut), out);
    return out;
}

Texts frame_byte_by_byte(std::string_view bytes) {
    JsonFramer framer;
    Texts out;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        feed(framer, bytes.substr(i, 1), out);
    return out;
}

struct Case {
    std::string_view bytes;
    Texts expected;
};

std::string fault(std::string_view text) {
    return "! JSON parse error, " + std::string(text);
}

const std::string kNoValue = fault("expecting value");

const std::vector<Case>& cases() {
    using namespace std::string_view_literals;
    static const std::vector<Case> all{
        {"{\"a\": [1, 2.5, -3], 'b' : {}}\n", {R"({"a": [1, 2.5, -3], "b": {}})"}},
        {"{}{}[] {}\r\n", {"{}", "{}", "[]", "{}"}},
        {" \t\r\n ", {}},
        {"null true\nfalse 17\n'x'", {"null", "true", "false", "17", "\"x\""}},
        {"{\"execute\":\n\n \"s\"\t,\n\"id\" : 4\n}", {R"({"execute": "s", "id": 4})"}},
        // Syntax
        {"}", {kNoValue}},
        {"]", {kNoValue}},
        {"{\"execute\":}", {kNoValue}},
        {"{\"a\":\"b\",}", {kNoValue}},
        {"{,}", {kNoValue}},
        {"[1,]", {kNoValue}},
        {",", {kNoValue}},
        {":", {kNoValue}},
        {"{]", {kNoValue}},
        {"[}", {kNoValue}},
        {"{\"a\" \"x\"}", {fault("missing : in object pair")}},
        {"{\"a\":1 \"b\":2}", {fault("expected separator in dict")}},
        {"[1 2]", {fault("expected separator in list")}},
        {"{\"a\":[\"b\"}]", {fault("expected separator in list")}},
        {"{1:2}", {fault("key is not a string in object")}},
        {"{\"a\":1,\"a\":2}", {fault("duplicate key")}},
        {"{\"a\":1,\"a\":}", {kNoValue}},
        {"tru\n", {fault("invalid keyword 'tru'")}},
        {"{\"id\":nul}", {fault("invalid keyword 'nul'")}},
        {"{}]{}", {"{}", kNoValue, "{}"}},
        // Tokens, and where reading goes on after them
        {"@\n{}", {fault("stray '@'"), "{}"}},
        {"+1\n{}", {fault("stray '+'"), "{}"}},
        {"01\n", {fault("stray '01'")}},
        {".5\n", {fault("stray '.'")}},
        {"-\n", {fault("stray '-\\n'")}},
        {"-I\n", {fault("stray '-I'")}},
        {"--1\n", {fault("stray '--'")}},
        {"1.\n", {fault("stray '1.\\n'")}},
        {"1e\n", {fault("stray '1e\\n'")}},
        {"1e+\n", {fault("stray '1e+\\n'")}},
        {"NaN\n{}", {fault("stray 'N'"), "{}"}},
        {"%d\n", {fault("stray '%'")}},
        {"\"abc\n", {fault("stray '\\\"abc\\n'")}},
        {"'abc\n", {fault("stray ''abc\\n'")}},
        {"{\"a\":\"b\\\n", {fault("stray '\\\"b\\\\\\n'")}},
        {"{\"execute\": query-status}\n", {fault("stray '-s'"), kNoValue}},
        {"{\"a\":\"b\tc\"}\n", {fault("stray '\\\"b\\t'"), kNoValue}},
        {"{\"a\":\"b\" /* c */}\n", {fault("stray '/'"), kNoValue}},
        {"{\"a\":00}\n", {fault("stray '00'"), kNoValue}},
        {"@ x\t\"{\"\n", {fault("stray '@'"), fault("stray '\\\"\\n'")}},
        {"{\"a\":[{\"b\":\xff{}", {fault("stray '\\uFFFD'"), "{}"}},
        {"{\"a\":\x01[]", {fault("stray '\\u0001'"), "[]"}},
        {"\0{}"sv, {fault("stray ''"), "{}"}},
        {"{\"a\":\"\xff\"}\n", {fault("stray '\\\"\\uFFFD'"), kNoValue}},
        {"\x01\x02\xfe",
         {fault("stray '\\u0001'"), fault("stray '\\u0002'"), fault("stray '\\uFFFD'")}},
        // Strings
        {R"("\b\f\n\r\t\"\\\/\'")", {R"("\b\f\n\r\t\"\\/'")"}},
        {R"('a"b')", {R"("a\"b")"}},
        {R"("\u00e9\u4E2D\ud83d\ude00\u0000")", {R"("\u00E9\u4E2D\uD83D\uDE00\u0000")"}},
        {"\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"", {R"("\u00E9\uD83D\uDE00\u007F")"}},
        {R"("\q")", {fault("invalid escape sequence in string")}},
        {R"("\u12")", {fault("\\\\u12\\\" is not a valid Unicode character")}},
        {R"("\u12x4")", {fault("\\\\u12x4 is not a valid Unicode character")}},
        {R"("\ud800")", {fault("\\\\ud800 is not a valid Unicode character")}},
        {R"("\ud800\u0041")", {fault("\\\\ud800 is not a valid Unicode character")}},
        {R"("\ud800\ud801")", {fault("\\\\ud800 is not a valid Unicode character")}},
        {R"("\udc00x")", {fault("\\\\udc00 is not a valid Unicode character")}},
        {R"("\uFFFE")", {fault("\\\\uFFFE is not a valid Unicode character")}},
        {R"("\ud83f\udfff")", {fault("\\\\ud83f\\\\udfff is not a valid Unicode character")}},
        {"\"\xed\xa0\x80\"", {fault("invalid UTF-8 sequence in string")}},
        {"\"\xf4\x90\x80\x80\"", {fault("invalid UTF-8 sequence in string")}},
        {"\"\xc0\x80\"", {fault("invalid UTF-8 sequence in string")}},
        {"\"\xe0\x82\xa9\"", {fault("invalid UTF-8 sequence in string")}},
        {"\"\xf0\x82\x82\xac\"", {fault("invalid UTF-8 sequence in string")}},
        {"\"\xed\xb0\x80\"", {fault("invalid UTF-8 sequence in string")}},
        {"\"b\x1f", {fault("stray '\\\"b\\u001F'")}},
        {"\"\xc3\"", {fault("invalid UTF-8 sequence in string")}},
        {"\"\x80\"", {fault("invalid UTF-8 sequence in string")}},
        {"\"\xef\xb7\x90\"", {fault("invalid UTF-8 sequence in string")}},
        // Numbers
        {"[18446744073709551615, 18446744073709551616]",
         {"[18446744073709551615, 1.8446744073709552e+19]"}},
        {"[-9223372036854775808, -9223372036854775809]",
         {"[-9223372036854775808, -9.2233720368547758e+18]"}},
        {"[0.1, 1.0, 1E2, 1.5e-3, -0, -0.0]", {"[0.10000000000000001, 1, 100, 0.0015, 0, -0]"}},
        {"[1e999, -1e999, 1e-999, 0.0e999999999999999999999]",
         {"[1.7976931348623157e+308, -1.7976931348623157e+308, 0, 0]"}},
    };
    return all;
}

// The texts of the cases are compared as the server would print them in a reply.
Texts printed(const Texts& items) {
    Texts out;
    for (const std::string& item : items) {
        const std::string quoted = write_json(item);
        out.push_back(item.starts_with("! ") ? quoted.substr(1, quoted.size() - 2) : item);
    }
    return out;
}

} // namespace

TEST_CASE("each text gives QEMU's values and faults", "[json_framer]") {
    const auto& one = GENERATE(from_range(cases()));
    CAPTURE(one.bytes);
    CHECK(printed(frame(one.bytes)) == one.expected);
}

TEST_CASE("no split of a text changes what it gives", "[json_framer]") {
    const auto& one = GENERATE(from_range(cases()));
    CAPTURE(one.bytes);
    const Texts whole = frame(one.bytes);
    for (std::size_t cut = 0; cut <= one.bytes.size(); ++cut)
        REQUIRE(frame_in_two(one.bytes, cut) == whole);
    CHECK(frame_byte_by_byte(one.bytes) == whole);
}

TEST_CASE("after any of the texts a separated message is understood", "[json_framer]") {
    const auto& one = GENERATE(from_range(cases()));
    CAPTURE(one.bytes);
    const Texts items = frame(std::string(one.bytes) + "\xff\n{\"ok\": 1}");
    REQUIRE_FALSE(items.empty());
    CHECK(items.back() == "{\"ok\": 1}");
}

TEST_CASE("1024 levels pass and 1025 do not", "[json_framer]") {
    const std::string open(1024, '[');
    const std::string close(1024, ']');
    CHECK(frame(open + close) == Texts{open + close});

    Texts expected{"! JSON nesting depth limit exceeded"};
    expected.insert(expected.end(), 1025, "! JSON parse error, expecting value");
    CHECK(frame("[" + open + close + "]") == expected);
}

TEST_CASE("braces and brackets count together against the nesting limit", "[json_framer]") {
    std::string open;
    for (int i = 0; i < 512; ++i)
        open += "[{\"a\":";
    CHECK(frame(open).empty());
    CHECK(frame(open + "[") == Texts{"! JSON nesting depth limit exceeded"});
}

TEST_CASE("2097152 tokens pass and one more does not", "[json_framer]") {
    std::string tokens = "[[]"; // and a bracket at the end: four, so that pairs reach the limit
    for (std::size_t pairs = (limits::kTokenCount - 4) / 2; pairs > 0; --pairs)
        tokens += ",1";
    JsonFramer framer;
    const std::string message = tokens + "]";
    std::string_view bytes = message;
    const auto item = framer.next(bytes);
    REQUIRE(item.has_value());
    CHECK(std::get<Json>(*item).size() == (limits::kTokenCount - 4) / 2 + 1);
    CHECK(frame(tokens + ",]") == Texts{"! JSON token count limit exceeded"});
}

TEST_CASE("a string of 64 MiB passes and a longer one is refused while it arrives",
          "[json_framer]") {
    const std::string half(limits::kTokenBytes / 2 - 1, 'x');
    JsonFramer framer;
    Texts none;
    feed(framer, "\"", none);
    feed(framer, half, none);
    feed(framer, half, none);
    REQUIRE(none.empty());

    SECTION("with its closing quote it is just as long as may be") {
        std::string_view end = "\"";
        const auto item = framer.next(end);
        REQUIRE(item.has_value());
        CHECK(std::get<Json>(*item).get_ref<const std::string&>().size() == 2 * half.size());
    }
    SECTION("two bytes more end it, and what follows is read as the next message") {
        Texts out;
        feed(framer, "xx{}", out);
        CHECK(out == Texts{"! JSON token size limit exceeded", "{}"});
    }
}

TEST_CASE("the tokens of one message share 64 MiB", "[json_framer]") {
    const std::string half = "'" + std::string(limits::kTokenBytes / 2, 'x') + "'";
    CHECK(frame("[" + half + "," + half).at(0) == "! JSON token size limit exceeded");
}

TEST_CASE("memory of a large message is given back", "[json_framer]") {
    JsonFramer framer;
    Texts out;
    feed(framer, "['" + std::string(1 << 20, 'x') + "'", out);
    CHECK(framer.held_bytes() > (1 << 20));
    feed(framer, "]", out);
    CHECK(out.size() == 1);
    CHECK(framer.held_bytes() == 0);
}
