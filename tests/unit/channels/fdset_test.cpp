#include "channels/fdset.hpp"

#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <sys/stat.h>

using mfd::FdSets;
using mfd::UniqueFd;
using mfd::test::TempFile;

namespace {

int add(FdSets& sets, UniqueFd fd, std::optional<std::int64_t> id,
        std::optional<std::string> opaque = std::nullopt) {
    const auto added = sets.add(std::move(fd), id, std::move(opaque));
    REQUIRE(added.has_value());
    return added->fd;
}

std::string open_error(FdSets& sets, std::string_view path, int flags) {
    const auto opened = sets.open(path, flags);
    REQUIRE(opened.has_error());
    return opened.error().what;
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

ino_t inode_of(int fd) {
    struct stat info {};
    REQUIRE(::fstat(fd, &info) == 0);
    return info.st_ino;
}

} // namespace

TEST_CASE("a descriptor without an id gets the lowest free one", "[fdset]") {
    const TempFile file;
    FdSets sets;
    const auto id_of_new = [&] { return sets.add(file.open(O_RDONLY), {}, {})->set_id; };
    CHECK(id_of_new() == 0);
    CHECK(id_of_new() == 1);
    add(sets, file.open(O_RDONLY), 3);
    CHECK(id_of_new() == 2);
    REQUIRE(sets.remove(1, {}).has_value());
    CHECK(id_of_new() == 1);
    CHECK(id_of_new() == 4);
}

TEST_CASE("a negative set id is refused with QEMU's words and the descriptor closed", "[fdset]") {
    const TempFile file;
    FdSets sets;
    auto fd = file.open(O_RDONLY);
    const int number = fd.get();
    const auto added = sets.add(std::move(fd), -1, {});
    REQUIRE(added.has_error());
    CHECK(added.error().what == "Parameter 'fdset-id' expects a non-negative value");
    CHECK_FALSE(is_open(number));
    CHECK(sets.query().empty());
}

TEST_CASE("sets are listed by descending id, members as they were added, opaque as it came",
          "[fdset]") {
    const TempFile file;
    FdSets sets;
    const int first = add(sets, file.open(O_RDONLY), 1, "");
    add(sets, file.open(O_RDONLY), 7);
    const int second = add(sets, file.open(O_RDONLY), 1, "rdonly:\"x\"\n");
    const auto listed = sets.query();
    REQUIRE(listed.size() == 2);
    CHECK(listed[0].id == 7);
    CHECK(listed[0].fds.at(0).opaque == std::nullopt);
    CHECK(listed[1].id == 1);
    REQUIRE(listed[1].fds.size() == 2);
    CHECK(listed[1].fds[0].fd == first);
    CHECK(listed[1].fds[0].opaque == "");
    CHECK(listed[1].fds[1].fd == second);
    CHECK(listed[1].fds[1].opaque == "rdonly:\"x\"\n");
}

TEST_CASE("removing closes at once, and what is not there is named", "[fdset]") {
    const TempFile file;
    FdSets sets;
    const int fd = add(sets, file.open(O_RDONLY), 2);
    const int other = add(sets, file.open(O_RDONLY), 2);
    CHECK(sets.remove(9, {}).error().what == "File descriptor named 'fdset-id:9' not found");
    CHECK(sets.remove(9, 5).error().what == "File descriptor named 'fdset-id:9, fd:5' not found");
    CHECK(sets.remove(2, 9999).error().what ==
          "File descriptor named 'fdset-id:2, fd:9999' not found");
    REQUIRE(sets.remove(2, fd).has_value());
    CHECK_FALSE(is_open(fd));
    CHECK(is_open(other));
    REQUIRE(sets.remove(2, {}).has_value());
    CHECK_FALSE(is_open(other));
    CHECK(sets.remove(2, {}).has_error());
}

TEST_CASE("names of sets that cannot be opened get QEMU's words", "[fdset]") {
    FdSets sets;
    const auto bad = GENERATE("", "x", "1x", "-1", "+1", " 1", "0x1", "99999999999999999999");
    const std::string path = std::string("/dev/fdset/") + bad;
    CHECK(FdSets::is_fdset_path(path));
    CHECK(open_error(sets, path, O_RDONLY) == "Could not parse fdset " + path);
}

TEST_CASE("a set that does not exist is named without its leading zeros", "[fdset]") {
    FdSets sets;
    CHECK_FALSE(FdSets::is_fdset_path("/dev/fdsets/1"));
    CHECK(open_error(sets, "/dev/fdset/007", O_RDONLY) == "Failed to find fdset /dev/fdset/7");
}

TEST_CASE("access mode and O_DIRECT must both fit, and read-write never does", "[fdset]") {
    const TempFile file;
    if (!file.offers_direct_io())
        SKIP("the file system of the temporary folder has no O_DIRECT");
    FdSets sets;
    add(sets, file.open(O_RDWR), 1);
    add(sets, file.open(O_RDWR | O_DIRECT), 1);
    const auto [flags, text] = GENERATE(table<int, std::string>({
        {O_WRONLY | O_CREAT, "0x41"},
        {O_WRONLY | O_DIRECT, "0x4001"},
        {O_RDONLY, "0x0"},
        {O_RDONLY | O_DIRECT, "0x4000"},
    }));
    CHECK(open_error(sets, "/dev/fdset/1", flags) ==
          "Failed to find file descriptor with matching flags=" + text);
    const int wanted = flags & (O_ACCMODE | O_DIRECT);
    add(sets, file.open(wanted), 1);
    add(sets, file.open(wanted ^ O_DIRECT), 1);
    const auto opened = sets.open("/dev/fdset/1", flags);
    REQUIRE(opened.has_value());
    CHECK((::fcntl(opened->ref().get(), F_GETFL) & (O_ACCMODE | O_DIRECT)) == wanted);
}

TEST_CASE("the newest fitting descriptor is taken, and the duplicate closes on exec", "[fdset]") {
    const TempFile older;
    const TempFile newer;
    FdSets sets;
    add(sets, older.open(O_WRONLY), 1);
    const int expected = add(sets, newer.open(O_WRONLY), 1);
    add(sets, older.open(O_RDONLY), 1);
    const auto opened = sets.open("/dev/fdset/1", O_WRONLY | O_CREAT);
    REQUIRE(opened.has_value());
    CHECK(opened->ref().get() != expected);
    CHECK(inode_of(opened->ref().get()) == inode_of(expected));
    CHECK(::fcntl(opened->ref().get(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("a synchronous descriptor is refused by its number", "[fdset]") {
    const TempFile file;
    FdSets sets;
    const auto flag = GENERATE(O_SYNC, O_DSYNC);
    const int fd = add(sets, file.open(O_WRONLY | flag), 1);
    CHECK(open_error(sets, "/dev/fdset/1", O_WRONLY) ==
          "Failed to dup() given file descriptor fd=" + std::to_string(fd));
}

TEST_CASE("append and non-blocking modes are cleared on the shared description", "[fdset]") {
    const TempFile file;
    FdSets sets;
    const int fd = add(sets, file.open(O_WRONLY | O_APPEND | O_NONBLOCK), 1);
    REQUIRE(sets.open("/dev/fdset/1", O_WRONLY).has_value());
    CHECK((::fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK)) == 0);
}

TEST_CASE("a set in use stays listed without members until its last duplicate dies", "[fdset]") {
    const TempFile file;
    FdSets sets;
    add(sets, file.open(O_WRONLY), 0);
    std::optional<mfd::SetDup> dup;
    dup.emplace(sets.open("/dev/fdset/0", O_WRONLY).value());
    REQUIRE(sets.remove(0, {}).has_value());
    REQUIRE(sets.query().size() == 1);
    CHECK(sets.query()[0].fds.empty());
    CHECK(sets.add(file.open(O_WRONLY), {}, {})->set_id == 1); // 0 is not free
    CHECK(sets.remove(0, {}).has_value());
    // Duplicates die on other threads than the one that owns the sets.
    std::jthread([&dup] { dup.reset(); }).join();
    REQUIRE(sets.query().size() == 1);
    CHECK(sets.query()[0].id == 1);
    CHECK(sets.remove(0, {}).has_error());
}

TEST_CASE("a restored member is known by its old number, which no other one gets", "[fdset]") {
    const TempFile file;
    UniqueFd next = file.open(O_WRONLY);
    const int number = next.get();
    FdSets sets;
    REQUIRE(sets.restore(4, file.open(O_RDONLY), number, "old").has_value());
    CHECK_FALSE(sets.restore(4, file.open(O_RDONLY), number, {}).has_value());
    const int added = add(sets, std::move(next), 4);
    CHECK(added != number);
    REQUIRE(sets.remove(4, number).has_value());
    REQUIRE(sets.query().size() == 1);
    REQUIRE(sets.query()[0].fds.size() == 1);
    CHECK(sets.query()[0].fds[0].fd == added);
    CHECK((::fcntl(sets.query()[0].fds[0].descriptor.get(), F_GETFL) & O_ACCMODE) == O_WRONLY);
}
