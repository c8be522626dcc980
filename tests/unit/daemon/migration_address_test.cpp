#include "daemon/migration_address.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>

using mfd::parse_migration_arguments;
using mfd::parse_migration_uri;
using nlohmann::json;
using Transport = mfd::MigrationAddress::Transport;

TEST_CASE("a file URI names a path and an offset", "[migration_address]") {
    struct Case {
        const char* uri;
        const char* path;
        std::uint64_t offset;
    };
    const auto c =
        GENERATE(Case{"file:/a/b", "/a/b", 0}, Case{"file:", "", 0}, Case{"file:rel,x", "rel,x", 0},
                 Case{"file:/a,offset=0", "/a", 0}, Case{"file:/a,offset=0x10671", "/a", 0x10671},
                 Case{"file:/a,offset=4k", "/a", 4096}, Case{"file:/a,offset=1.5k", "/a", 1536},
                 Case{"file:/dev/fdset/3,offset=12345", "/dev/fdset/3", 12345});
    INFO(c.uri);
    const auto address = parse_migration_uri(c.uri);
    REQUIRE(address.has_value());
    CHECK(address->transport == Transport::File);
    CHECK(address->path == c.path);
    CHECK(address->offset == c.offset);
}

TEST_CASE("a bad offset is refused with QEMU's text", "[migration_address]") {
    struct Case {
        const char* uri;
        const char* text;
    };
    const auto c = GENERATE(
        Case{"file:/a,offset=", "file URI has bad offset : Invalid argument"},
        Case{"file:/a,offset=0x20M", "file URI has bad offset 0x20M: Invalid argument"},
        Case{"file:/a,offset=1k,foo", "file URI has bad offset 1k,foo: Invalid argument"},
        Case{"file:/a,offset=1,offset=2", "file URI has bad offset 1,offset=2: Invalid argument"},
        Case{"file:/a,offset=-1", "file URI has bad offset -1: Numerical result out of range"});
    const auto address = parse_migration_uri(c.uri);
    REQUIRE_FALSE(address.has_value());
    CHECK(address.error().what == c.text);
}

TEST_CASE("known schemes that are no files parse, unknown ones do not", "[migration_address]") {
    CHECK(parse_migration_uri("tcp:1.2.3.4:5")->transport == Transport::Socket);
    CHECK(parse_migration_uri("exec:cat")->transport == Transport::Other);
    CHECK(parse_migration_uri("FILE:/x").error().what == "unknown migration protocol: FILE:/x");
    CHECK(parse_migration_uri("").error().what == "unknown migration protocol: ");
}

TEST_CASE("exactly one of uri and channels names the file", "[migration_address]") {
    const json file = {{"channel-type", "main"},
                       {"addr", {{"transport", "file"}, {"filename", "/x"}, {"offset", 7}}}};
    const json cpr = {{"channel-type", "cpr"},
                      {"addr", {{"transport", "file"}, {"filename", "/y"}, {"offset", 0}}}};
    const auto text = [](const json& arguments, bool single) {
        return parse_migration_arguments(arguments, single).error().what;
    };
    const auto address = parse_migration_arguments({{"channels", {file}}}, true);
    REQUIRE(address.has_value());
    CHECK(address->path == "/x");
    CHECK(address->offset == 7);
    const std::string either = "need either 'uri' or 'channels' argument";
    CHECK(text(json::object(), false) == either);
    CHECK(text({{"channels", json::array()}}, false) == either);
    CHECK(text({{"uri", "file:/x"}, {"channels", {file}}}, false) == either);
    CHECK(text({{"channels", {file, file}}}, false) == "Channel list has more than one main entry");
    CHECK(text({{"channels", {cpr, cpr}}}, false) == "Channel list has more than one cpr entry");
    CHECK(text({{"channels", {cpr}}}, false) == "Channel list has no main entry");
    CHECK(text({{"channels", {file, cpr}}}, true) ==
          "Channel list must have only one entry, for type 'main'");
}
