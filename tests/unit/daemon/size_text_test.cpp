// Verdicts and values are those of QEMU 10.0 for `migrate file:PATH,offset=TEXT`.
#include "daemon/size_text.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cerrno>
#include <string>
#include <utility>

TEST_CASE("sizes are read as QEMU reads them", "[size_text]") {
    const auto [text, bytes] = GENERATE(table<std::string, std::uint64_t>({
        {"0", 0},
        {"1", 1},
        {"4k", 4096},
        {"4K", 4096},
        {"1m", 1048576},
        {"3G", 3221225472},
        {"1.5k", 1536},
        {".5k", 512},
        {"1.k", 1024},
        {"0.k", 0},
        {"1.", 1},
        {"1.0", 1},
        {"1.0B", 1},
        {"5B", 5},
        {"+5", 5},
        {" 5", 5},
        {"\t +5", 5},
        {"08", 8},
        {"010", 10},
        {"0x10", 16},
        {"0X1f", 31},
        {"0x1b", 27},
        {"0x1e", 30},
        {"0x0000000000000000000000000010", 16},
        {"0.00001k", 0},
        {"1.5T", 1649267441664},
        {"15E", 0xf000000000000000},
        {"15.9E", 0xfe66666666666680},
        {"18446744073709551615", 0xffffffffffffffff},
        {"0xffffffffffffffff", 0xffffffffffffffff},
    }));
    CAPTURE(text);
    const auto size = mfd::parse_size_text(text);
    REQUIRE(size.has_value());
    CHECK(*size == bytes);
}

TEST_CASE("what is no size is an invalid argument", "[size_text]") {
    const auto text =
        GENERATE(as<std::string>(), "", " ", ".", "k", "+", "-", "5 ", "+ 5", "- 1", "++1", "+-1",
                 "--1", "0x", "0xg", "0x-1", "0x1k", "0x20M", "0x1.8k", "0x1p3", "00x10", "0b1",
                 "1e3", "4KB", "4kb", "1 k", "0.3", "0.3B", "1.5e3k", "1.5k.", "1..5k", "1.-5k",
                 "1.+5k", "inf", "nan", "1,offset=2", "1k,foo", "-1x", "-0x", "-.5k", "-abc", "+k",
                 "99999999999999999999k", "1\xc2\xa0", "\xff");
    CAPTURE(text);
    const auto size = mfd::parse_size_text(text);
    REQUIRE(size.has_error());
    CHECK(size.error().sys == EINVAL);
    CHECK(size.error().what == "Invalid argument");
}

TEST_CASE("negative sizes and those of 2^64 or more are out of range", "[size_text]") {
    const auto text =
        GENERATE(as<std::string>(), "-1", "-0", "-99999999999999999999", "16E",
                 "18446744073709551616", "0x10000000000000000", "15.99999999999999999999999E",
                 "17179869184G", "99999999999999999999999999");
    CAPTURE(text);
    const auto size = mfd::parse_size_text(text);
    REQUIRE(size.has_error());
    CHECK(size.error().sys == ERANGE);
    CHECK(size.error().what == "Numerical result out of range");
}
