// Texts are those of QEMU 10.0, from its QMP monitor and its command line.
#include "daemon/guest/backend_properties.hpp"
#include "guest_support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <nlohmann/json.hpp>

#include <limits>
#include <string>

using mfd::BackendType;
using mfd::test::properties;
using nlohmann::json;

namespace {

std::string json_refusal(const json& changes) {
    json arguments{{"qom-type", "memory-backend-ram"}, {"id", "z"}, {"size", 1048576}};
    arguments.merge_patch(changes); // a null removes the member
    const auto parsed = mfd::backend_properties_from_json(arguments);
    return parsed.has_value() ? "accepted" : parsed.error().what;
}

std::string text_refusal(std::string_view text) {
    const auto parsed = properties(text);
    return parsed.has_value() ? "accepted" : parsed.error().what;
}

} // namespace

TEST_CASE("a backend described in JSON has typed properties and QEMU's defaults", "[backend]") {
    const auto p = mfd::backend_properties_from_json(
        {{"qom-type", "memory-backend-memfd"}, {"id", "m1"}, {"size", 2097152}});
    REQUIRE(p.has_value());
    CHECK(p->type == BackendType::Memfd);
    CHECK(p->id == "m1");
    CHECK(p->size == 2097152);
    CHECK(p->share);
    CHECK(p->seal);
    CHECK(p->merge);
    CHECK(p->dump);
    CHECK(p->reserve);
    CHECK_FALSE(p->prealloc);
    CHECK(p->block_name() == "m1");
}

TEST_CASE("a backend described on the command line has the same properties", "[backend]") {
    const auto p = properties("memory-backend-file,id=f,size=1.5G,mem-path=/dev/shm/a,,b,share=on,"
                              "offset=4k,align=2M,readonly=on,prealloc-threads=4,merge=off,"
                              "policy=bind,host-nodes=2,host-nodes=0-1,x-ramblock=/rom@etc/x");
    REQUIRE(p.has_value());
    CHECK(p->type == BackendType::File);
    CHECK(p->size == 1610612736);
    CHECK(p->mem_path == "/dev/shm/a,b");
    CHECK(p->share);
    CHECK(p->offset == 4096);
    CHECK(p->align == 2097152);
    CHECK(p->readonly);
    CHECK(p->prealloc_threads == 4);
    CHECK_FALSE(p->merge);
    CHECK(p->policy == mfd::NumaPolicy::Bind);
    CHECK(p->host_nodes == std::vector<std::uint16_t>{0, 1, 2});
    CHECK(p->block_name() == "/rom@etc/x");
}

TEST_CASE("the canonical path names the block where it is asked for", "[backend]") {
    const auto p =
        properties("memory-backend-ram,id=r,size=4k,x-use-canonical-path-for-ramblock-id=on");
    REQUIRE(p.has_value());
    CHECK(p->block_name() == "/objects/r");
}

TEST_CASE("wrong JSON gets QEMU's text", "[backend]") {
    const auto [changes, text] = GENERATE(table<json, std::string>({
        {{{"qom-type", nullptr}, {"id", nullptr}}, "Parameter 'qom-type' is missing"},
        {{{"qom-type", nullptr}}, "Parameter 'qom-type' is missing"},
        {{{"id", nullptr}}, "Parameter 'id' is missing"},
        {{{"size", nullptr}}, "Parameter 'size' is missing"},
        {{{"qom-type", "bogus"}}, "Parameter 'qom-type' does not accept value 'bogus'"},
        {{{"qom-type", 5}}, "Invalid parameter type for 'qom-type', expected: string"},
        {{{"id", 5}}, "Invalid parameter type for 'id', expected: string"},
        {{{"id", 5}, {"qom-type", "x"}}, "Parameter 'qom-type' does not accept value 'x'"},
        {{{"id", "1bad"}}, "Parameter 'id' expects an identifier"},
        {{{"id", "a b"}}, "Parameter 'id' expects an identifier"},
        {{{"id", ""}}, "Parameter 'id' expects an identifier"},
        {{{"id", "-x"}}, "Parameter 'id' expects an identifier"},
        {{{"id", "1"}, {"size", 0}}, "Parameter 'id' expects an identifier"},
        {{{"id", "1"}, {"bogus", 0}}, "Parameter 'bogus' is unexpected"},
        {{{"props", json::object()}}, "Parameter 'props' is unexpected"},
        {{{"mem-path", "/x"}}, "Parameter 'mem-path' is unexpected"},
        {{{"size", 0}}, "property 'size' of memory-backend-ram doesn't take value '0'"},
        {{{"size", "1M"}}, "Parameter 'size' expects uint64"},
        {{{"size", 1.5}}, "Parameter 'size' expects uint64"},
        {{{"size", true}}, "Parameter 'size' expects uint64"},
        {{{"size", 100}}, "backend 'memory-backend-ram' memory size must be multiple of 4 KiB"},
        {{{"share", "yes"}}, "Invalid parameter type for 'share', expected: boolean"},
        {{{"merge", 1}, {"share", 2}}, "Invalid parameter type for 'merge', expected: boolean"},
        {{{"prealloc-threads", 0}},
         "property 'prealloc-threads' of memory-backend-ram doesn't take value '0'"},
        {{{"prealloc-threads", -1}}, "Parameter 'prealloc-threads' expects uint32_t"},
        {{{"prealloc-threads", 8589934592}}, "Parameter 'prealloc-threads' expects uint32_t"},
        {{{"prealloc-threads", "a"}}, "Parameter 'prealloc-threads' expects uint64"},
        {{{"policy", "bind"}}, "host-nodes must be set for policy bind"},
        {{{"policy", "x"}}, "Parameter 'policy' does not accept value 'x'"},
        {{{"policy", 5}}, "Invalid parameter type for 'policy', expected: string"},
        {{{"host-nodes", 5}}, "Invalid parameter type for 'host-nodes', expected: array"},
        {{{"host-nodes", {"a"}}}, "Parameter 'host-nodes[0]' expects uint64"},
        {{{"host-nodes", {0, 70000}}}, "Parameter 'null' expects uint16_t"},
        {{{"host-nodes", {200}}, {"policy", "bind"}}, "Invalid host-nodes value: 200"},
        {{{"host-nodes", {0}}},
         "host-nodes must be empty for policy default, or you should explicitly specify a policy "
         "other than default"},
        {{{"qom-type", "memory-backend-shm"}, {"share", false}},
         "can't create shm backend with `share=off`"},
        {{{"qom-type", "memory-backend-file"}}, "Parameter 'mem-path' is missing"},
        {{{"qom-type", "memory-backend-file"}, {"mem-path", "/x"}, {"size", nullptr}},
         "Parameter 'size' is missing"},
        {{{"qom-type", "memory-backend-file"}, {"align", "x"}}, "Parameter 'align' expects uint64"},
        {{{"qom-type", "memory-backend-file"}, {"mem-path", "/x"}, {"rom", "on"}},
         "property 'rom' = 'on' is not supported with 'readonly' = 'off'"},
        {{{"qom-type", "memory-backend-file"},
          {"mem-path", "/x"},
          {"rom", "off"},
          {"readonly", true},
          {"share", true}},
         "property 'rom' = 'off' is incompatible with 'readonly' = 'on' and 'share' = 'on'"},
        {{{"qom-type", "memory-backend-memfd"}, {"hugetlb", true}, {"hugetlbsize", 3145728}},
         "Hugepage size must be a power of 2"},
        {{{"qom-type", "memory-backend-memfd"}, {"hugetlbsize", 0}},
         "Property 'memory-backend-memfd.hugetlbsize' doesn't take value '0'"},
    }));
    CAPTURE(changes.dump());
    CHECK(json_refusal(changes) == text);
}

TEST_CASE("wrong option text gets QEMU's text", "[backend]") {
    const auto [option, text] = GENERATE(table<std::string, std::string>({
        {"", "Parameter 'qom-type' is missing"},
        {"memory-backend-ram,size=1M", "Parameter 'id' is missing"},
        {"memory-backend-ram,id=r", "Parameter 'size' is missing"},
        {"memory-backend-ram,id=r,size=foo", "Parameter 'size' expects a size value"},
        {"memory-backend-ram,id=r,size=", "Parameter 'size' expects a size value"},
        {"memory-backend-ram,id=r,size=0x1000k", "Parameter 'size' expects a size value"},
        {"memory-backend-ram,id=r,size=16E", "Parameter 'size' expects a size value"},
        {"memory-backend-ram,id=r,size=1M,size", "Parameter 'size' expects a size value"},
        {"memory-backend-ram,id=r,size=1M,share=maybe", "Parameter 'share' expects 'on' or 'off'"},
        {"memory-backend-ram,id=r,size=1M,bogus=1", "Invalid parameter 'bogus'"},
        {"memory-backend-ram,id=r,size=1M,nofoo", "Invalid parameter 'foo'"},
        {"memory-backend-ram,,id=r",
         "Parameter 'qom-type' does not accept value 'memory-backend-ram,id=r'"},
        {"memory-backend-ram,id=a/b,size=4M", "Parameter 'id' expects an identifier"},
        {"memory-backend-ram,id=r,size=1M,prealloc-threads=x",
         "Parameter 'prealloc-threads' expects a uint64 value"},
        {"memory-backend-ram,id=r,size=1M,prealloc-threads=4294967296",
         "Parameter 'prealloc-threads' expects uint32_t"},
        {"memory-backend-ram,id=r,size=1M,policy=foo",
         "Parameter 'policy' does not accept value 'foo'"},
        {"memory-backend-ram,id=r,size=1M,host-nodes=0-,policy=bind",
         "Parameter 'host-nodes' expects a uint64 value or range"},
        {"memory-backend-ram,id=r,size=1M,host-nodes=3-1,policy=bind",
         "Parameter 'host-nodes' expects a uint64 value or range"},
        {"memory-backend-ram,id=r,size=1M,host-nodes=0-18446744073709551615,policy=bind",
         "Parameter 'null' expects uint16_t"},
    }));
    CAPTURE(option);
    CHECK(text_refusal(option) == text);
}

TEST_CASE("a negative size is taken modulo 2^64, as in QEMU, and is not a page fault",
          "[backend]") {
    CHECK(json_refusal({{"size", -4096}}) == "accepted");
    CHECK(json_refusal({{"size", -1}}) == "accepted");
}

TEST_CASE("what is ours is checked, too", "[backend]") {
    CHECK(json_refusal({{"x-ramblock", ""}}).find("x-ramblock") != std::string::npos);
    CHECK(json_refusal({{"x-ramblock", std::string(255, 'n')}}) == "accepted");
    CHECK(json_refusal({{"x-ramblock", std::string(256, 'n')}}).find("1 to 255 bytes") !=
          std::string::npos);
    CHECK(json_refusal({{"id", std::string(256, 'n')}}).find("1 to 255 bytes") !=
          std::string::npos);
    CHECK(json_refusal({{"x-ramblock", std::string("a\0b", 3)}}).find("zero bytes") !=
          std::string::npos);
    CHECK(json_refusal({{"x-dirty-log", "/tmp/log"}}).find("/dev/fdset/N") != std::string::npos);
    CHECK(json_refusal({{"prealloc-context", "t"}}).find("thread contexts") != std::string::npos);
}

TEST_CASE("query-memdev has QEMU's members", "[backend]") {
    const auto p = properties("memory-backend-shm,id=s1,size=2M");
    REQUIRE(p.has_value());
    CHECK(mfd::backend_memdev_json(*p) == json{{"id", "s1"},
                                               {"size", 2097152},
                                               {"merge", true},
                                               {"dump", true},
                                               {"prealloc", false},
                                               {"share", true},
                                               {"reserve", true},
                                               {"host-nodes", json::array()},
                                               {"policy", "default"}});
}

TEST_CASE("the properties of a file backend are listed with names, types and values", "[backend]") {
    const auto p = properties("memory-backend-file,id=f,size=4k,mem-path=/x,readonly=on");
    REQUIRE(p.has_value());
    const auto list = mfd::backend_qom_properties(*p);
    const auto value = [&list](std::string_view name) {
        for (const auto& property : list)
            if (property.name == name)
                return property.type + "=" + property.value.dump();
        return std::string("absent");
    };
    CHECK(list.front().name == "type");
    CHECK(value("type") == "string=\"memory-backend-file\"");
    CHECK(value("size") == "int=4096");
    CHECK(value("mem-path") == "string=\"/x\"");
    CHECK(value("rom") == "OnOffAuto=\"on\"");
    CHECK(value("policy") == "HostMemPolicy=\"default\"");
    CHECK(value("hugetlb") == "absent");
}

TEST_CASE("the arguments of a backend make the same backend", "[backend]") {
    const auto text = GENERATE(
        "memory-backend-ram,id=r,size=4k", "memory-backend-shm,id=s,size=4k,reserve=off",
        "memory-backend-memfd,id=m,size=4M,hugetlb=on,hugetlbsize=2M,seal=off,share=off,prealloc="
        "on",
        "memory-backend-memfd,id=m,size=4M,x-use-canonical-path-for-ramblock-id=on",
        "memory-backend-file,id=f,size=4k,mem-path=/a,,b,share=on,offset=4k,align=2M,pmem=on,"
        "discard-data=on,policy=bind,host-nodes=0-1,merge=off,dump=off,prealloc-threads=4",
        "memory-backend-file,id=f,size=4k,mem-path=/dev/fdset/1,share=on,readonly=on,"
        "x-ramblock=/rom@x,x-dirty-log=/dev/fdset/2",
        "memory-backend-file,id=f,size=4k,mem-path=/a,readonly=on,rom=off",
        "memory-backend-file,id=f,size=4k,mem-path=/a,readonly=on,rom=on");
    CAPTURE(text);
    const auto p = properties(text);
    REQUIRE(p.has_value());
    const json arguments = mfd::backend_arguments(*p);
    const auto again = mfd::backend_properties_from_json(arguments);
    INFO((again.has_value() ? "" : again.error().what));
    REQUIRE(again.has_value());
    CHECK(mfd::backend_arguments(*again) == arguments);
    CHECK(again->block_name() == p->block_name());
    CHECK(again->rom == p->rom);
    CHECK(again->mem_path == p->mem_path);
    CHECK(again->dirty_log == p->dirty_log);
    CHECK(again->hugetlb_size == p->hugetlb_size);
    CHECK(again->canonical_block_name == p->canonical_block_name);
    CHECK(again->offset == p->offset);
    CHECK(again->host_nodes == p->host_nodes);
}
