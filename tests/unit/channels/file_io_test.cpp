#include "channels/file_io.hpp"

#include "call_log.hpp"
#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <string>
#include <vector>

namespace {

// Answers from a list, and notes where it was asked to write.
struct ScriptedWrite {
    std::vector<ssize_t> answers;
    std::vector<std::uint64_t> offsets{};
    std::vector<std::size_t> sizes{};
    ssize_t operator()(std::span<const std::byte> data, std::uint64_t offset) {
        offsets.push_back(offset);
        sizes.push_back(data.size());
        return answers.at(offsets.size() - 1);
    }
};

struct ScriptedRead {
    std::vector<ssize_t> answers;
    std::vector<std::uint64_t> offsets{};
    ssize_t operator()(std::span<std::byte>, std::uint64_t offset) {
        offsets.push_back(offset);
        return answers.at(offsets.size() - 1);
    }
};

std::vector<std::byte> counting_bytes(std::size_t count) {
    std::vector<std::byte> data(count);
    for (std::size_t at = 0; at < count; ++at)
        data[at] = static_cast<std::byte>(at * 7);
    return data;
}

} // namespace

TEST_CASE("write_all_at goes on after a short write and an interrupt", "[file_io]") {
    std::array<std::byte, 4096> page{};
    ScriptedWrite write{{1000, -EINTR, 3096}};
    REQUIRE(mfd::write_all_at(write, page, 8192).has_value());
    CHECK(write.offsets == std::vector<std::uint64_t>{8192, 9192, 9192});
    CHECK(write.sizes == std::vector<std::size_t>{4096, 3096, 3096});
}

TEST_CASE("a write that is put off again and again is made again, but not for ever", "[file_io]") {
    std::array<std::byte, 4096> page{};
    ScriptedWrite write{{-EAGAIN, -EAGAIN, 4096}};
    CHECK(mfd::write_all_at(write, page, 0).has_value());
    ScriptedWrite refused{std::vector<ssize_t>(5000, -EAGAIN)};
    const auto result = mfd::write_all_at(refused, page, 0);
    REQUIRE(result.has_error());
    CHECK(result.error().sys == EAGAIN);
    // What moves on has patience anew.
    std::vector<ssize_t> slow;
    for (int i = 0; i < 4; ++i) {
        slow.insert(slow.end(), 900, -EINTR);
        slow.push_back(1024);
    }
    ScriptedWrite moving{std::move(slow)};
    CHECK(mfd::write_all_at(moving, page, 0).has_value());
}

TEST_CASE("a write that takes nothing is an error, not an endless loop", "[file_io]") {
    std::array<std::byte, 4096> page{};
    ScriptedWrite write{{96, 0}};
    const auto result = mfd::write_all_at(write, page, 0);
    REQUIRE(result.has_error());
    CHECK(result.error().what ==
          "write file: nothing was written at offset 96, and no reason given");
}

TEST_CASE("a full disk in the middle of a write is reported with its errno", "[file_io]") {
    std::array<std::byte, 4096> page{};
    ScriptedWrite write{{1024, -ENOSPC}};
    const auto result = mfd::write_all_at(write, page, 0);
    REQUIRE(result.has_error());
    CHECK(result.error().sys == ENOSPC);
    CHECK(result.error().what == "write file: No space left on device");
}

TEST_CASE("a read at the end of the file is an error that says how much is missing", "[file_io]") {
    std::array<std::byte, 4096> page{};
    ScriptedRead read{{-EINTR, 4000, 0}};
    const auto result = mfd::read_all_at(read, page, 100);
    REQUIRE(result.has_error());
    CHECK(result.error().what == "read file: it ends at offset 4100, 96 bytes short");
    CHECK(read.offsets == std::vector<std::uint64_t>{100, 100, 4100});
}

TEST_CASE("nothing to write asks for nothing", "[file_io]") {
    ScriptedWrite write{{}};
    CHECK(mfd::write_all_at(write, {}, 0).has_value());
    CHECK(write.offsets.empty());
}

TEST_CASE("advancing iovecs drops whole parts and shortens the one it ends in", "[file_io]") {
    std::array<std::byte, 100> data{};
    std::vector<iovec> parts{{data.data(), 10}, {data.data() + 10, 0}, {data.data() + 10, 20}};
    auto rest = mfd::advance_iovecs(parts, 10);
    REQUIRE(rest.size() == 1);
    CHECK(rest[0].iov_base == data.data() + 10);
    rest = mfd::advance_iovecs(rest, 5);
    REQUIRE(rest.size() == 1);
    CHECK(rest[0].iov_base == data.data() + 15);
    CHECK(rest[0].iov_len == 15);
    CHECK(mfd::advance_iovecs(rest, 15).empty());
}

TEST_CASE("vectored transfers carry more parts than one call takes", "[file_io]") {
    const mfd::test::TempFile file;
    auto data = counting_bytes(5000);
    std::vector<iovec> parts;
    for (std::size_t at = 0; at < data.size(); at += 2)
        parts.push_back({data.data() + at, 2});
    REQUIRE(mfd::writev_all_at(file.open(O_WRONLY).ref(), parts, 77).has_value());
    CHECK(file.read(77, data.size()) == data);

    std::vector<std::byte> back(data.size());
    parts.clear();
    for (std::size_t at = 0; at < back.size(); at += 2)
        parts.push_back({back.data() + at, 2});
    REQUIRE(mfd::readv_all_at(file.open(O_RDONLY).ref(), parts, 77).has_value());
    CHECK(back == data);
}

TEST_CASE("vectored transfers go on after an interrupt and a short one, where that ended",
          "[file_io]") {
    const mfd::test::TempFile file;
    const auto fd = file.open(O_RDWR);
    auto data = counting_bytes(5000);
    std::vector<iovec> parts{{data.data(), 2000}, {data.data() + 2000, 3000}};
    {
        mfd::test::CallLog log;
        log.transfers = {-EINTR, 2500, 1, -EAGAIN};
        REQUIRE(mfd::writev_all_at(fd.ref(), parts, 77).has_value());
        CHECK(log.calls() == std::vector<std::string>{
                                 "pwritev 5000 at 77", "pwritev 5000 at 77", "pwritev 2500 at 2577",
                                 "pwritev 2499 at 2578", "pwritev 2499 at 2578"});
    }
    CHECK(file.read(77, data.size()) == data);

    std::vector<std::byte> back(data.size());
    parts = {{back.data(), 2000}, {back.data() + 2000, 3000}};
    mfd::test::CallLog log;
    log.transfers = {-EINTR, 2500, 1, -EAGAIN};
    REQUIRE(mfd::readv_all_at(fd.ref(), parts, 77).has_value());
    CHECK(back == data);
}

TEST_CASE("positional transfers leave the file position alone", "[file_io]") {
    const mfd::test::TempFile file;
    const auto fd = file.open(O_RDWR);
    const auto data = counting_bytes(512);
    REQUIRE(mfd::write_all_at(fd.ref(), data, 1000).has_value());
    CHECK(::lseek(fd.get(), 0, SEEK_CUR) == 0);
    std::array<std::byte, 4096> back{};
    const auto got = mfd::read_up_to_at(fd.ref(), back, 1000);
    REQUIRE(got.has_value());
    CHECK(*got == 512);
    CHECK(::lseek(fd.get(), 0, SEEK_CUR) == 0);
}
