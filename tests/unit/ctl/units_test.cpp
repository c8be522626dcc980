#include "qmp/units.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace mfd;
using std::chrono::milliseconds;

TEST_CASE("sizes are read with suffixes, fractions and in hexadecimal", "[ctl]") {
    CHECK(*parse_size("0") == 0);
    CHECK(*parse_size("4096") == 4096);
    CHECK(*parse_size("12B") == 12);
    CHECK(*parse_size("64K") == 65536);
    CHECK(*parse_size("64k") == 65536);
    CHECK(*parse_size("1.5G") == 1610612736);
    CHECK(*parse_size("2GiB") == 2147483648);
    CHECK(*parse_size("0x1000") == 4096);
    CHECK(*parse_size("18446744073709551615") == UINT64_MAX);
    CHECK(*parse_size("15E") == std::uint64_t{15} << 60);
}

TEST_CASE("what is no size is refused and quoted", "[ctl]") {
    for (const char* text : {"", "K", "-1", "1.5", "1.5B", "1e3", "4KB", "1 K", "0x", "0xG", "16E",
                             "18446744073709551616", "iB", "1..5K", "99999999999999999999G"}) {
        INFO(text);
        const auto size = parse_size(text);
        REQUIRE_FALSE(size.has_value());
        CHECK(size.error().what.starts_with("'" + std::string(text) + "' is no size"));
    }
}

TEST_CASE("bytes and rates are written with the largest fitting unit", "[ctl]") {
    CHECK(format_bytes(0) == "0 B");
    CHECK(format_bytes(1023) == "1023 B");
    CHECK(format_bytes(1024) == "1.00 KiB");
    CHECK(format_bytes(1048575) == "1.00 MiB");
    CHECK(format_bytes(1610612736) == "1.50 GiB");
    CHECK(format_bytes(UINT64_MAX) == "16.00 EiB");
    CHECK(format_rate(1610612736) == "1.50 GiB/s");
    CHECK(format_rate(-1) == "0 B/s");
}

TEST_CASE("times are written as short as their length allows", "[ctl]") {
    CHECK(format_time(milliseconds(0)) == "0 ms");
    CHECK(format_time(milliseconds(999)) == "999 ms");
    CHECK(format_time(milliseconds(1300)) == "1.30 s");
    CHECK(format_time(milliseconds(185'000)) == "3:05");
    CHECK(format_time(milliseconds(7'385'000)) == "2:03:05");
}

TEST_CASE("counts are grouped by thousands", "[ctl]") {
    CHECK(format_count(0) == "0");
    CHECK(format_count(999) == "999");
    CHECK(format_count(1000) == "1 000");
    CHECK(format_count(1234567) == "1 234 567");
}
