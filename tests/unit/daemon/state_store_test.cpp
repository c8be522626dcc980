// What stands in the service manager's store after each step, and what is made of it by the process
// that comes next.
#include "daemon/state/sealed_state.hpp"
#include "daemon/state/state_store.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

using mfd::DescriptorRole;
using mfd::FdRef;
using mfd::FdStore;
using mfd::PassedDescriptor;
using mfd::Result;
using mfd::StateStore;
using mfd::UniqueFd;
using nlohmann::json;

namespace {

using Lines = std::vector<std::string>;

UniqueFd duplicate(FdRef fd) {
    return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
}

UniqueFd make_memory() {
    return UniqueFd(::memfd_create("memory", MFD_CLOEXEC));
}

// What the manager holds, and what it was told, in order. Outlives the process that tells it.
struct Manager {
    std::vector<PassedDescriptor> held;
    Lines told;
    std::optional<std::size_t> capacity;
    std::size_t fails_after = std::numeric_limits<std::size_t>::max(); // messages

    [[nodiscard]] std::vector<PassedDescriptor> pass_on() const {
        std::vector<PassedDescriptor> passed;
        for (const PassedDescriptor& member : held)
            passed.push_back({member.name, duplicate(member.fd.ref())});
        return passed;
    }
    [[nodiscard]] Lines names() const {
        Lines names;
        for (const PassedDescriptor& member : held)
            names.push_back(member.name);
        return names;
    }
};

class StoreOf final : public FdStore {
public:
    explicit StoreOf(Manager& manager) : manager_(manager) {}
    Result<void> push(const std::string& name, FdRef fd) override {
        MFD_CHECK(tell("+" + name));
        manager_.held.push_back({name, duplicate(fd)});
        return {};
    }
    Result<void> remove(const std::string& name) override {
        MFD_CHECK(tell("-" + name));
        std::erase_if(manager_.held, [&](const auto& member) { return member.name == name; });
        return {};
    }
    Result<void> settle() override { return tell("settle"); }
    [[nodiscard]] std::optional<std::size_t> capacity() const override { return manager_.capacity; }

private:
    Result<void> tell(std::string line) {
        if (manager_.told.size() == manager_.fails_after)
            return mfd::make_sys_error("tell the manager", ECONNREFUSED);
        manager_.told.push_back(std::move(line));
        return {};
    }
    Manager& manager_;
};

Result<std::unique_ptr<StateStore>> try_open(Manager& manager) {
    return StateStore::open(std::make_unique<StoreOf>(manager), manager.pass_on());
}

std::unique_ptr<StateStore> open(Manager& manager) {
    auto opened = try_open(manager);
    INFO((opened.has_value() ? "" : opened.error().what));
    REQUIRE(opened.has_value());
    return std::move(*opened);
}

std::string refusal(Manager& manager) {
    const auto opened = try_open(manager);
    return opened.has_value() ? "accepted" : opened.error().what;
}

// A guest whose memory these are.
Result<void> keep(StateStore& store, const std::vector<FdRef>& memory, int setting = 0) {
    json guest = {{"setting", setting}, {"memory", json::array()}};
    store.descriptors().begin_use();
    for (const FdRef fd : memory) {
        MFD_TRY(auto name, store.descriptors().name_of(fd, DescriptorRole::Ram));
        guest["memory"].push_back(std::move(name));
    }
    return store.commit(std::move(guest));
}

// Bytes as they stand in a sealed state, to be damaged.
std::vector<char> bytes_of(FdRef fd) {
    std::vector<char> bytes(static_cast<std::size_t>(::lseek(fd.get(), 0, SEEK_END)));
    REQUIRE(::pread(fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    return bytes;
}

UniqueFd sealed(const std::vector<char>& bytes) {
    UniqueFd fd(::memfd_create("damaged", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    REQUIRE(::fcntl(fd.get(), F_ADD_SEALS,
                    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0);
    return fd;
}

} // namespace

TEST_CASE("a state is stored after what it names and before the one it replaces goes", "[state]") {
    Manager manager;
    const auto store = open(manager);
    CHECK(store->guest().is_null());
    const UniqueFd first = make_memory();
    const UniqueFd second = make_memory();
    REQUIRE(keep(*store, {first.ref()}).has_value());
    REQUIRE(keep(*store, {second.ref()}).has_value());
    REQUIRE(keep(*store, {second.ref()}).has_value()); // nothing has changed
    CHECK(manager.told == Lines{"+state-1", "+ram-1", "+state-2", "settle", "-state-1", "+ram-2",
                                "+state-3", "settle", "-state-2", "-ram-1"});
    CHECK(manager.names() == Lines{"ram-2", "state-3"});
}

TEST_CASE("the next process has the same guest and stores nothing anew", "[state]") {
    Manager manager;
    const UniqueFd memory = make_memory();
    REQUIRE(::write(memory.get(), "content", 7) == 7);
    REQUIRE(keep(*open(manager), {memory.ref()}, 7).has_value());
    manager.told.clear();

    const auto store = open(manager);
    CHECK(store->guest() == json{{"setting", 7}, {"memory", {"ram-1"}}});
    const auto taken = store->descriptors().take("ram-1");
    REQUIRE(taken.has_value());
    std::string content(7, '\0');
    CHECK(::pread(taken->get(), content.data(), 7, 0) == 7);
    CHECK(content == "content");
    REQUIRE(keep(*store, {taken->ref()}, 7).has_value());
    CHECK(manager.told.empty());
    // Numbers are not given twice.
    const UniqueFd another = make_memory();
    REQUIRE(keep(*store, {taken->ref(), another.ref()}, 7).has_value());
    CHECK(manager.names() == Lines{"ram-1", "ram-2", "state-3"});
}

TEST_CASE("duplicates of one descriptor are stored once", "[state]") {
    Manager manager;
    const auto store = open(manager);
    // All eventfds are one inode.
    const UniqueFd one(::eventfd(0, EFD_CLOEXEC));
    const UniqueFd same = duplicate(one.ref());
    const UniqueFd other(::eventfd(0, EFD_CLOEXEC));
    REQUIRE(keep(*store, {one.ref(), same.ref(), other.ref()}).has_value());
    CHECK(store->guest().at("memory") == json{"ram-1", "ram-1", "ram-2"});
    REQUIRE(keep(*store, {same.ref()}).has_value());
    CHECK(manager.names() == Lines{"ram-1", "state-3"});
}

TEST_CASE("a store cut off after any message has a whole guest", "[state]") {
    const UniqueFd first = make_memory();
    const UniqueFd second = make_memory();
    // As many messages as the whole takes, so that the last case is not cut off.
    const std::size_t cut = GENERATE(Catch::Generators::range(std::size_t{1}, std::size_t{12}));
    CAPTURE(cut);
    Manager manager;
    manager.fails_after = cut;
    const auto store = open(manager);
    for (const auto& [setting, memory] :
         {std::pair(1, std::vector{first.ref()}), std::pair(2, std::vector{second.ref()}),
          std::pair(3, std::vector{first.ref()})})
        static_cast<void>(keep(*store, memory, setting).has_value());

    manager.fails_after = std::numeric_limits<std::size_t>::max();
    const auto next = open(manager);
    Lines expected;
    if (const json guest = next->guest(); !guest.is_null()) {
        const auto memory = next->descriptors().take(guest.at("memory").at(0).get<std::string>());
        REQUIRE(memory.has_value());
        REQUIRE(keep(*next, {memory->ref()}, guest.at("setting").get<int>()).has_value());
        expected.push_back(guest.at("memory").at(0).get<std::string>());
    }
    CHECK(manager.held.size() == expected.size() + 1);
    for (const std::string& name : expected)
        CHECK(std::ranges::count(manager.names(), name) == 1);
}

TEST_CASE("a change that could not be stored is stored with the next one", "[state]") {
    Manager manager;
    const auto store = open(manager);
    const UniqueFd memory = make_memory();
    manager.fails_after = manager.told.size();
    CHECK_FALSE(keep(*store, {memory.ref()}, 1).has_value());
    manager.fails_after = std::numeric_limits<std::size_t>::max();
    REQUIRE(keep(*store, {memory.ref()}, 1).has_value());
    const auto next = open(manager);
    CHECK(next->guest().at("setting") == 1);
    CHECK(next->descriptors().take(next->guest().at("memory").at(0)).has_value());
}

TEST_CASE("a guest that was given up does not come back, wherever that was cut off", "[state]") {
    const std::size_t cut = GENERATE(Catch::Generators::range(std::size_t{1}, std::size_t{6}));
    CAPTURE(cut);
    Manager manager;
    const auto store = open(manager);
    const UniqueFd memory = make_memory();
    REQUIRE(keep(*store, {memory.ref()}).has_value());
    manager.fails_after = manager.told.size() + cut;
    static_cast<void>(store->clear().has_value());
    manager.fails_after = std::numeric_limits<std::size_t>::max();
    const auto next = open(manager);
    CHECK(next->guest().is_null());
    CHECK(manager.held.size() == 1); // that there is no guest
}

TEST_CASE("a store that is too small keeps the state before", "[state]") {
    Manager manager;
    manager.capacity = 3;
    const auto store = open(manager);
    const UniqueFd first = make_memory();
    const UniqueFd second = make_memory();
    REQUIRE(keep(*store, {first.ref()}, 1).has_value());
    const auto refused = keep(*store, {first.ref(), second.ref()}, 2);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().what ==
          "the service manager's store has room for 3 descriptors and 4 are needed: raise "
          "FileDescriptorStoreMax=");
    CHECK(open(manager)->guest().at("setting") == 1);
    CHECK(keep(*store, {second.ref()}, 3).error().what == refused.error().what);
    REQUIRE(keep(*store, {first.ref()}, 4).has_value());
    CHECK(open(manager)->guest().at("setting") == 4);
}

TEST_CASE("a newest state that cannot be read is refused, older ones notwithstanding", "[state]") {
    Manager manager;
    const UniqueFd memory = make_memory();
    REQUIRE(keep(*open(manager), {memory.ref()}).has_value());
    const std::vector<char> whole = bytes_of(manager.held.back().fd.ref());
    const auto with = [&](const std::vector<char>& bytes) {
        manager.held.push_back({"state-3", sealed(bytes)});
        return refusal(manager);
    };
    SECTION("every byte counts") {
        for (std::size_t at = 0; at < whole.size(); ++at) {
            auto bytes = whole;
            bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
            CHECK(with(bytes) != "accepted");
            manager.held.pop_back();
        }
    }
    SECTION("and every length") {
        for (std::size_t length = 0; length < whole.size(); ++length) {
            CHECK(with({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)}) !=
                  "accepted");
            manager.held.pop_back();
        }
    }
    SECTION("a later version is named") {
        auto bytes = whole;
        bytes[8] = 2;
        CHECK(with(bytes) == "state-3: its version is 2, and this multifdd reads version 1");
    }
    SECTION("what can still be written is no state") {
        manager.held.push_back({"state-3", make_memory()});
        CHECK(refusal(manager) == "state-3: it is not sealed");
    }
}

TEST_CASE("descriptors without a state are not taken for nothing", "[state]") {
    Manager manager;
    manager.held.push_back({"ram-1", make_memory()});
    CHECK(refusal(manager) == "there are descriptors, but no state that says of what");
}

TEST_CASE("only names of our own are ours", "[state]") {
    for (const char* name : {"state-1", "ram-12", "log-1", "fdset-3", "named-4", "loaded-5"})
        CHECK(StateStore::owns(name));
    for (const char* name : {"", "-", "-1", "qmp", "qmp-1", "ram", "ram-", "ram-x", "ram-1x",
                             "ram--1", "state-", "stored", "state-99999999999999999999"})
        CHECK_FALSE(StateStore::owns(name));
}

TEST_CASE("a sealed state gives back what went in and cannot be written", "[state]") {
    const json value = {{"text", "with \xff and \0"},
                        {"number", std::numeric_limits<std::uint64_t>::max()},
                        {"rate", 1234.56789},
                        {"bytes", json::binary({0, 1, 255})}};
    const auto fd = mfd::make_sealed_state("state", value);
    REQUIRE(fd.has_value());
    const auto back = mfd::read_sealed_state(fd->ref());
    REQUIRE(back.has_value());
    CHECK(*back == value);
    CHECK(::pwrite(fd->get(), "x", 1, 0) == -1);
    CHECK(::ftruncate(fd->get(), 0) == -1);
}
