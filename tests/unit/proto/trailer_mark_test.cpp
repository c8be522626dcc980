#include "proto/trailer_mark.hpp"

#include "proto/device_state.hpp"
#include "proto/vmdescription.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <string>

using mfd::trailer_id;
using mfd::with_trailer_id;
using mfd::without_trailer_id;

TEST_CASE("a vmdescription names the trailer it was given, and is JSON as before",
          "[trailer_mark]") {
    const std::string text = mfd::make_vmdescription({});
    const std::string marked = with_trailer_id(text, 0x123456789abcdef);
    CHECK(marked == text.substr(0, text.size() - 1) +
                        R"(, "x-multifdd": {"checksums": "0123456789abcdef"}})");
    CHECK(trailer_id(marked) == 0x123456789abcdef);
    const auto parsed = mfd::parse_vmdescription(marked);
    REQUIRE(parsed.has_value());
    CHECK(parsed->devices.size() == 1);
}

TEST_CASE("another number replaces the first, and without any the text is as it was",
          "[trailer_mark]") {
    const auto text = GENERATE(as<std::string>(), "{}", R"({"devices": []})", R"({"a": {}})");
    CHECK(trailer_id(text) == std::nullopt);
    const auto twice = with_trailer_id(with_trailer_id(text, 1), ~std::uint64_t{0});
    CHECK(trailer_id(twice) == ~std::uint64_t{0});
    CHECK(twice.find("x-multifdd") == twice.rfind("x-multifdd"));
    CHECK(without_trailer_id(twice) == text);
    CHECK(without_trailer_id(text) == text);
    CHECK(mfd::parse_vmdescription(twice).has_value());
}

TEST_CASE("a text that is empty stays empty, and blanks behind it are no part of it",
          "[trailer_mark]") {
    CHECK(with_trailer_id("", 5).empty());
    CHECK(trailer_id(with_trailer_id("{\"a\": 1}\n", 5)) == 5);
    CHECK(trailer_id(with_trailer_id("{ }\n", 5)) == 5);
}

TEST_CASE("a mark that is not exactly as written names nothing", "[trailer_mark]") {
    const auto text =
        GENERATE(as<std::string>(), R"({"x-multifdd": {"checksums": "0123456789abcdeF"}})",
                 R"({"x-multifdd": {"checksums": "0123456789abcde "}})",
                 R"({"x-multifdd": {"checksums": "-123456789abcdef"}})",
                 R"({"x-multifdd":  {"checksums": "0123456789abcdef"}})",
                 R"({"x-multifdd": {"checksums": "0123456789abcdef"}} )",
                 R"({"x-multifdd": {"checksums": "123456789abcdef"}})", R"("}})");
    CHECK(trailer_id(text) == std::nullopt);
}

TEST_CASE("one byte makes a text name no trailer, and leaves it JSON", "[trailer_mark]") {
    std::string text = mfd::with_trailer_id(R"({"devices": []})", 0x1234);
    const auto at = mfd::trailer_switch(text);
    REQUIRE(at.has_value());
    text.at(*at) = mfd::kNoTrailer;
    CHECK(text == R"({"devices": [], "#-multifdd": {"checksums": "0000000000001234"}})");
    CHECK_FALSE(mfd::trailer_id(text).has_value());
    CHECK_FALSE(mfd::trailer_switch(text).has_value());
}
