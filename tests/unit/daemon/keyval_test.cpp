#include "daemon/keyval.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <string>

using mfd::KeyValue;

TEST_CASE("the first part belongs to the implied key, the rest are pairs", "[keyval]") {
    const auto list = mfd::parse_keyval("memory-backend-ram,id=r,size=1M", "qom-type");
    REQUIRE(list.has_value());
    CHECK(list->items() ==
          std::vector<KeyValue>{{"qom-type", "memory-backend-ram"}, {"id", "r"}, {"size", "1M"}});
}

TEST_CASE("the implied key may be named and then stand anywhere", "[keyval]") {
    const auto list = mfd::parse_keyval("id=r,qom-type=memory-backend-ram", "qom-type");
    REQUIRE(list.has_value());
    CHECK(list->find("qom-type") == "memory-backend-ram");
    CHECK(list->find("id") == "r");
}

TEST_CASE("a doubled comma is a comma of the value", "[keyval]") {
    const auto list = mfd::parse_keyval("unix:/run/a,,b,server=on,path=c,,,,d,,", "chardev");
    REQUIRE(list.has_value());
    CHECK(list->find("chardev") == "unix:/run/a,b");
    CHECK(list->find("server") == "on");
    CHECK(list->find("path") == "c,,d,");
}

TEST_CASE("an odd number of commas ends the value after the doubled ones", "[keyval]") {
    const auto list = mfd::parse_keyval("a=x,,,b=y", "");
    REQUIRE(list.has_value());
    CHECK(list->items() == std::vector<KeyValue>{{"a", "x,"}, {"b", "y"}});
}

TEST_CASE("a later part without a value is a switch", "[keyval]") {
    const auto list = mfd::parse_keyval("memory-backend-ram,prealloc,noshare", "qom-type");
    REQUIRE(list.has_value());
    CHECK(list->find("prealloc") == "on");
    CHECK(list->find("share") == "off");
}

TEST_CASE("where a key stands twice the last value counts and all can be seen", "[keyval]") {
    const auto list = mfd::parse_keyval("host-nodes=0,size=1M,host-nodes=2,size=2M", "");
    REQUIRE(list.has_value());
    CHECK(list->find("size") == "2M");
    CHECK(list->find_all("host-nodes") == std::vector<std::string_view>{"0", "2"});
    CHECK(list->find("absent") == std::nullopt);
}

TEST_CASE("values keep everything behind the first equals sign", "[keyval]") {
    const auto list = mfd::parse_keyval("a==b=c,d=", "");
    REQUIRE(list.has_value());
    CHECK(list->find("a") == "=b=c");
    CHECK(list->find("d") == "");
}

TEST_CASE("empty parts say nothing", "[keyval]") {
    const auto list = mfd::parse_keyval("memory-backend-ram,id=r,", "qom-type");
    REQUIRE(list.has_value());
    CHECK(list->items().size() == 2);
    CHECK(mfd::parse_keyval("", "qom-type")->items().empty());
}

TEST_CASE("a value without a key is refused", "[keyval]") {
    const auto list = mfd::parse_keyval("a=b,=c", "");
    REQUIRE(list.has_error());
    CHECK(list.error().what == "Expected parameter before '='");
}

TEST_CASE("zero bytes and options without end are refused", "[keyval]") {
    CHECK(mfd::parse_keyval(std::string_view("a=b\0c", 5), "").has_error());
    CHECK(mfd::parse_keyval(std::string(70'000, 'x'), "a").has_error());
}

TEST_CASE("the first key that nobody knows is named", "[keyval]") {
    const auto list = mfd::parse_keyval("a=1,b=2,c=3", "");
    constexpr std::array<std::string_view, 2> known{"a", "c"};
    CHECK(list->first_unknown(known) == "b");
    constexpr std::array<std::string_view, 3> all{"a", "b", "c"};
    CHECK(list->first_unknown(all) == std::nullopt);
}

TEST_CASE("switch values have QEMU's four spellings", "[keyval]") {
    for (const char* yes : {"on", "yes", "true", "y"})
        CHECK(*mfd::parse_on_off("share", yes));
    for (const char* no : {"off", "no", "false", "n"})
        CHECK_FALSE(*mfd::parse_on_off("share", no));
    CHECK(mfd::parse_on_off("share", "ON").error().what ==
          "Parameter 'share' expects 'on' or 'off'");
    CHECK(mfd::parse_on_off("share", "").has_error());
}

TEST_CASE("typed values say which parameter is wrong", "[keyval]") {
    CHECK(*mfd::parse_option_size("size", "1.5k") == 1536);
    CHECK(mfd::parse_option_size("size", "-1").error().what ==
          "Parameter 'size' expects a size value");
    CHECK(*mfd::parse_option_number("prealloc-threads", "0x10") == 16);
    CHECK(*mfd::parse_option_number("prealloc-threads", "010") == 8);
    CHECK(*mfd::parse_option_number("prealloc-threads", "0") == 0);
    for (const char* bad : {"", "x", "-1", "1k", "0x", "08", "18446744073709551616"})
        CHECK(mfd::parse_option_number("prealloc-threads", bad).error().what ==
              "Parameter 'prealloc-threads' expects a uint64 value");
}
