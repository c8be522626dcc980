// Texts and shapes are those of QEMU 10.0 where it has them.
#include "daemon/guest/guest_objects.hpp"

#include <catch2/catch_test_macros.hpp>

#include <nlohmann/json.hpp>

#include <string>

using mfd::Errc;
using mfd::GuestObjects;
using nlohmann::json;

namespace {

std::string outcome(const mfd::Result<void>& result) {
    return result.has_value() ? "done" : result.error().what;
}

json ram(const char* id) {
    return {{"qom-type", "memory-backend-ram"}, {"id", id}, {"size", 1048576}};
}

json workload(const char* id, const char* memdev) {
    return {{"qom-type", "x-guest-workload"}, {"id", id}, {"memdev", memdev}};
}

std::vector<std::string> block_names(const GuestObjects& objects) {
    std::vector<std::string> names;
    for (const mfd::MemoryBackend* block : objects.memory().blocks())
        names.push_back(block->block_name());
    return names;
}

} // namespace

TEST_CASE("objects are added, listed and deleted", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add_option("memory-backend-ram,id=ram,size=64M").has_value());
    REQUIRE(objects.add(ram("r1")).has_value());
    CHECK(objects.memory().query_memdev().size() == 2);
    CHECK(*objects.list("/objects") == json::parse(R"([
        {"name": "type", "type": "string"},
        {"name": "ram", "type": "child<memory-backend-ram>"},
        {"name": "r1", "type": "child<memory-backend-ram>"}])"));
    CHECK(outcome(objects.remove("r1")) == "done");
    CHECK(outcome(objects.remove("r1")) == "object 'r1' not found");
    CHECK(objects.memory().query_memdev() == json::parse(R"([
        {"id": "ram", "size": 67108864, "merge": true, "dump": true, "prealloc": false,
         "share": false, "reserve": true, "host-nodes": [], "policy": "default"}])"));
}

TEST_CASE("an id is used once, whatever the object is", "[objects]") {
    GuestObjects objects;
    const std::string text = "attempt to add duplicate property 'r' to object (type 'container')";
    REQUIRE(objects.add(ram("r")).has_value());
    CHECK(outcome(objects.add(ram("r"))) == text);
    CHECK(outcome(objects.add(workload("r", "r"))) == text);
    REQUIRE(objects.add(workload("w", "r")).has_value());
    CHECK(objects.add(ram("w")).has_error());
}

TEST_CASE("a block name is used once", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add(ram("r")).has_value());
    auto second = ram("s");
    second["x-ramblock"] = "r";
    CHECK(outcome(objects.add(second)) == "RAM block name 'r' is in use by another memory backend");
}

TEST_CASE("without a machine backend every backend is guest RAM, early or late", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add(ram("a")).has_value());
    REQUIRE(objects.memory().seal_command_line().has_value());
    REQUIRE(objects.add(ram("b")).has_value());
    CHECK(block_names(objects) == std::vector<std::string>{"a", "b"});
    CHECK(outcome(objects.remove("a")) == "object 'a' is in use, can not be deleted");
    CHECK(outcome(objects.remove("b")) == "done");
}

TEST_CASE("with a machine backend guest RAM is what the command line made, for good", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add(ram("ram")).has_value());
    REQUIRE(objects.add(ram("more")).has_value());
    objects.memory().set_machine_backend("ram");
    REQUIRE(objects.memory().seal_command_line().has_value());
    REQUIRE(objects.add(ram("extra")).has_value());
    CHECK(block_names(objects) == std::vector<std::string>{"ram", "more"});
    CHECK(objects.memory().is_guest_ram("more"));
    CHECK_FALSE(objects.memory().is_guest_ram("extra"));
    CHECK(outcome(objects.remove("ram")) == "object 'ram' is in use, can not be deleted");
    CHECK(outcome(objects.remove("extra")) == "done");
}

TEST_CASE("a machine backend that does not exist is refused", "[objects]") {
    GuestObjects objects;
    objects.memory().set_machine_backend("nope");
    CHECK(outcome(objects.memory().seal_command_line()) == "Memory backend 'nope' not found");
}

TEST_CASE("memory that a job holds cannot be removed until it lets go", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add(ram("r")).has_value());
    auto hold = objects.memory().hold();
    auto second = objects.memory().hold();
    hold.release();
    hold.release();
    CHECK(outcome(objects.remove("r")) == "object 'r' is in use, can not be deleted");
    hold = std::move(second);
    CHECK(objects.memory().held());
    hold = mfd::GuestMemory::Hold();
    CHECK_FALSE(objects.memory().held());
    CHECK(outcome(objects.remove("r")) == "done");
}

TEST_CASE("memory with an emulated guest on it cannot be removed or shared", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add(ram("r")).has_value());
    REQUIRE(objects.add(workload("w", "r")).has_value());
    CHECK(outcome(objects.remove("r")) == "object 'r' is in use, can not be deleted");
    CHECK(outcome(objects.add(workload("w2", "r"))) ==
          "property 'memdev' of x-guest-workload: memory 'r' is already used by object 'w'");
    CHECK(outcome(objects.add(workload("w2", "none"))) ==
          "property 'memdev' of x-guest-workload: object 'none' not found");
    CHECK(outcome(objects.remove("w")) == "done");
    CHECK(outcome(objects.remove("r")) == "done");
}

TEST_CASE("emulated guests follow the run state and the throttle", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add(ram("r")).has_value());
    REQUIRE(objects.add(ram("s")).has_value());
    REQUIRE(objects.add(workload("w", "r")).has_value());
    CHECK(objects.workloads()[0]->paused());
    objects.set_guest_throttle(40);
    objects.resume_guest();
    CHECK_FALSE(objects.workloads()[0]->paused());
    REQUIRE(objects.add(workload("x", "s")).has_value());
    CHECK_FALSE(objects.workloads()[1]->paused());
    CHECK(objects.workloads()[0]->throttle() == 40);
    CHECK(objects.workloads()[1]->throttle() == 40);
    objects.pause_guest();
    CHECK(objects.workloads()[0]->paused());
    CHECK(objects.workloads()[1]->paused());
}

TEST_CASE("wrong workloads are refused by name", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add(ram("r")).has_value());
    CHECK(outcome(objects.add({{"qom-type", "x-guest-workload"}, {"id", "w"}})) ==
          "Parameter 'memdev' is missing");
    CHECK(outcome(objects.add_option("x-guest-workload,id=w,memdev=r,pattern=x")) ==
          "Parameter 'pattern' does not accept value 'x'");
    CHECK(outcome(objects.add_option("x-guest-workload,id=w,memdev=r,threads=0"))
              .find("from 1 to 256") != std::string::npos);
    CHECK(outcome(objects.add_option("x-guest-workload,id=w,memdev=r,rate=fast")) ==
          "Parameter 'rate' expects a size value");
    CHECK(outcome(objects.add_option("x-guest-workload,id=w,memdev=r,speed=1")) ==
          "Invalid parameter 'speed'");
    CHECK(outcome(objects.add_option("x-guest-workload,id=1,memdev=r")) ==
          "Parameter 'id' expects an identifier");
    REQUIRE(objects.add_option("memory-backend-ram,id=tiny,size=4k").has_value());
    CHECK(outcome(objects.add_option("x-guest-workload,id=w,memdev=tiny,threads=2"))
              .find("fewer pages than there are threads") != std::string::npos);
    CHECK(objects.workloads().empty());
    CHECK(outcome(objects.remove("tiny")) == "done");
}

TEST_CASE("an option may be a JSON object", "[objects]") {
    GuestObjects objects;
    CHECK(outcome(objects.add_option(
              R"({"qom-type":"memory-backend-ram","id":"r","size":4096})")) == "done");
    CHECK(
        outcome(objects.add_option(R"({"qom-type":"memory-backend-ram","id":"s","size":"4k"})")) ==
        "Parameter 'size' expects uint64");
    CHECK(objects.add_option("{bad").has_error());
}

TEST_CASE("qom-get finds objects by path and by the end of a path", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add_option("memory-backend-memfd,id=m1,size=2M").has_value());
    REQUIRE(objects.add_option("x-guest-workload,id=w,memdev=m1,pattern=hot-cold").has_value());
    CHECK(*objects.get("/objects/m1", "size") == 2097152);
    CHECK(*objects.get("/objects/m1/", "share") == true);
    CHECK(*objects.get("objects/m1", "type") == "memory-backend-memfd");
    CHECK(*objects.get("m1", "type") == "memory-backend-memfd");
    CHECK(*objects.get("w", "pattern") == "hot-cold");
    CHECK(*objects.get("w", "pages-written") == 0);
    CHECK(*objects.get("/", "type") == "container");
    CHECK(*objects.get("/objects", "type") == "container");
    CHECK(objects.get("/objects/m1", "nope").error().what ==
          "Property 'memory-backend-memfd.nope' not found");
    CHECK(objects.get("/objects/m1", "nope").error().code == Errc::BadArgument);
}

TEST_CASE("qom-list and qom-get name paths that do not exist", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add(ram("ram")).has_value());
    for (const char* path : {"/nope", "/objects/zz", "/ram", "zz", "/objects/ram/x", "/nope/ram"}) {
        CAPTURE(path);
        const auto list = objects.list(path);
        REQUIRE(list.has_error());
        CHECK(list.error().code == Errc::NotFound);
        CHECK(list.error().what == "Device '" + std::string(path) + "' not found");
        CHECK(objects.get(path, "type").error().what == list.error().what);
    }
    CHECK(objects.list("").error().what == "Path '' is ambiguous");
    CHECK(objects.list("").error().code == Errc::BadArgument);
    CHECK(objects.get("", "type").error().what == "Device '' not found");
}

TEST_CASE("qom-list shows the root, the container and an object's properties", "[objects]") {
    GuestObjects objects;
    REQUIRE(objects.add(ram("ram")).has_value());
    const json container = json::parse(R"([{"name": "type", "type": "string"},
        {"name": "ram", "type": "child<memory-backend-ram>"}])");
    CHECK(*objects.list("objects") == container);
    CHECK(*objects.list("//objects/") == container);
    CHECK(objects.list("/")->at(1) == json::parse(R"({"name": "objects",
        "type": "child<container>"})"));
    CHECK(objects.list("ram")->at(0) == json::parse(R"({"name": "type", "type": "string"})"));
    CHECK(objects.list("ram")->size() > 10);
}
