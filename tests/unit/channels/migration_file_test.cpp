#include "channels/migration_file.hpp"

#include "call_log.hpp"
#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include <sys/stat.h>

using mfd::FdSets;
using mfd::FileUse;
using mfd::MigrationFile;
using mfd::PageIo;
using mfd::test::TempFile;

namespace {

mfd::Result<MigrationFile> open(FdSets& sets, const std::string& name, std::uint64_t offset,
                                FileUse use, PageIo page_io = PageIo::Buffered) {
    MFD_TRY(auto target, mfd::resolve_target(sets, name, offset, use, page_io));
    return use == FileUse::Save ? MigrationFile::open_save(std::move(target))
                                : MigrationFile::open_load(std::move(target));
}

std::string error_of(const mfd::Result<MigrationFile>& result) {
    REQUIRE(result.has_error());
    return result.error().what;
}

using Calls = std::vector<std::string>;

constexpr std::array kText{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};

} // namespace

TEST_CASE("a save creates its file for the owner alone", "[migration_file]") {
    const TempFile folder_mark;
    const std::string path = folder_mark.path() + ".new";
    FdSets sets;
    {
        auto file = open(sets, path, 0, FileUse::Save);
        REQUIRE(file.has_value());
        CHECK(file->stream_offset() == 0);
        CHECK(file->complete({}).has_value());
    }
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    std::filesystem::remove(path);
}

TEST_CASE("a new file appears when the save is complete, or at once if that is wanted",
          "[migration_file]") {
    const bool at_once = GENERATE(false, true);
    const auto page_io = GENERATE(PageIo::Buffered, PageIo::Direct);
    const TempFile folder_mark;
    if (page_io == PageIo::Direct && !folder_mark.offers_direct_io())
        SKIP("no O_DIRECT in " << folder_mark.path());
    const std::string path = folder_mark.path() + ".new";
    FdSets sets;
    const auto open_new = [&] {
        auto target = mfd::resolve_target(sets, path, 0, FileUse::Save, page_io);
        REQUIRE(target.has_value());
        target->appears = at_once ? mfd::Appears::AtOnce : mfd::Appears::WhenComplete;
        return MigrationFile::open_save(std::move(*target));
    };
    {
        const auto failed = open_new();
        REQUIRE(failed.has_value());
        CHECK(failed->direct_fd().valid() == (page_io == PageIo::Direct));
        CHECK(std::filesystem::exists(path) == at_once);
    }
    CHECK(std::filesystem::exists(path) == at_once);
    std::filesystem::remove(path);
    auto file = open_new();
    REQUIRE(file.has_value());
    REQUIRE(file->write_meta(kText, 0).has_value());
    REQUIRE(file->complete({}).has_value());
    CHECK(std::filesystem::file_size(path) == kText.size());
    std::filesystem::remove(path);
}

TEST_CASE("reserved space is the file's before a byte is written", "[migration_file]") {
    const TempFile path;
    constexpr std::uint64_t bytes = std::uint64_t{4} << 20;
    FdSets sets;
    auto file = open(sets, path.path(), 0, FileUse::Save);
    REQUIRE(file.has_value());
    REQUIRE(file->reserve(bytes).has_value());
    REQUIRE(file->preallocate(bytes).has_value());
    struct stat info {};
    REQUIRE(::stat(path.path().c_str(), &info) == 0);
    CHECK(static_cast<std::uint64_t>(info.st_blocks) * 512 >= bytes);

    constexpr std::uint64_t far_too_much = std::uint64_t{1} << 42;
    const auto refused = file->preallocate(far_too_much);
    REQUIRE(refused.has_error());
    CHECK(refused.error().what.starts_with("reserve the space of migration file '" + path.path() +
                                           "', 0x40000000000 bytes: "));
    CHECK((refused.error().sys == ENOSPC || refused.error().sys == EFBIG));
}

TEST_CASE("a file that somebody shortens while it is written does not complete",
          "[migration_file]") {
    const TempFile path;
    FdSets sets;
    auto file = open(sets, path.path(), 0, FileUse::Save);
    REQUIRE(file.has_value());
    REQUIRE(file->reserve(0x9000).has_value());
    CHECK(file->check_length().has_value());
    std::filesystem::resize_file(path.path(), 0x5000);
    const auto completed = file->complete({});
    REQUIRE(completed.has_error());
    CHECK(completed.error().what == "migration file '" + path.path() +
                                        "' was shortened by somebody else while it was written: "
                                        "it has 0x5000 bytes and had 0x9000");
}

TEST_CASE("bytes before the offset survive a save, those behind go", "[migration_file]") {
    const TempFile path;
    path.write(0, std::vector<std::byte>(10'000, std::byte{7}));
    FdSets sets;
    auto file = open(sets, path.path(), 5000, FileUse::Save);
    REQUIRE(file.has_value());
    CHECK(file->stream_offset() == 5000);
    CHECK(file->size_bytes().value() == 5000);
    REQUIRE(file->write_meta(kText, 5000).has_value());
    CHECK(file->size_bytes().value() == 5003);
    CHECK(file->complete({}).has_value());
    CHECK(path.read(0, 5000) == std::vector<std::byte>(5000, std::byte{7}));
}

TEST_CASE("a shorter file is extended to the offset", "[migration_file]") {
    const TempFile path;
    FdSets sets;
    const auto file = open(sets, path.path(), 0x10671, FileUse::Save);
    REQUIRE(file.has_value());
    CHECK(file->size_bytes().value() == 0x10671);
}

TEST_CASE("a file that is saved into has its length before anything is written",
          "[migration_file]") {
    const TempFile path;
    path.write(0, std::vector<std::byte>(10'000, std::byte{7}));
    FdSets sets;
    auto file = open(sets, path.path(), 100, FileUse::Save);
    REQUIRE(file.has_value());
    REQUIRE(file->reserve(5 << 20).has_value());
    CHECK(file->size_bytes().value() == 5 << 20);
    CHECK(path.read(0, 100) == std::vector<std::byte>(100, std::byte{7}));
    CHECK(path.read(100, 10'000) == std::vector<std::byte>(10'000, std::byte{0}));
}

TEST_CASE("a file whose blocks are reused keeps them, but not the stream in them",
          "[migration_file]") {
    const TempFile path;
    const std::uint64_t offset = GENERATE(std::uint64_t{0}, 4096);
    const std::uint64_t end = GENERATE(std::uint64_t{1} << 20,
                                       std::uint64_t{3} << 20); // shorter and longer than the file
    path.write(0, std::vector<std::byte>(2 << 20, std::byte{7}));
    FdSets sets;
    auto target = mfd::resolve_target(sets, path.path(), offset, FileUse::Save, PageIo::Buffered);
    REQUIRE(target.has_value());
    target->old_blocks = mfd::OldBlocks::Reuse;
    auto file = MigrationFile::open_save(std::move(*target));
    REQUIRE(file.has_value());
    CHECK(file->stream_offset() == offset);
    REQUIRE(file->reserve(end).has_value());
    CHECK(file->size_bytes().value() == end);
    CHECK(path.read(0, offset) == std::vector<std::byte>(offset, std::byte{7}));
    CHECK(path.read(offset, 8) == std::vector<std::byte>(8, std::byte{0}));
    struct stat info {};
    REQUIRE(::stat(path.path().c_str(), &info) == 0);
    CHECK(info.st_blocks * 512 >= 1 << 20);
}

TEST_CASE("the first bytes of a stream are written when it is complete", "[migration_file]") {
    const TempFile path;
    path.write(0, std::vector<std::byte>(10'000, std::byte{7}));
    const std::uint64_t offset = GENERATE(std::uint64_t{0}, 100);
    const std::vector<std::byte> start(20, std::byte{1});
    std::vector<std::byte> kept_back = start;
    std::fill_n(kept_back.begin(), MigrationFile::kStartBytes, std::byte{0});
    FdSets sets;
    auto file = open(sets, path.path(), offset, FileUse::Save);
    REQUIRE(file.has_value());
    REQUIRE(file->write_start(start).has_value());
    CHECK(path.read(offset, start.size()) == kept_back);

    SECTION("on completion") {
        REQUIRE(file->complete({}).has_value());
        CHECK(path.read(offset, start.size()) == start);
    }
    SECTION("not after a cancel") {
        std::stop_source cancel;
        cancel.request_stop();
        const auto cancelled = file->complete(cancel.get_token());
        REQUIRE(cancelled.has_error());
        CHECK(cancelled.error().code == mfd::Errc::Cancelled);
        CHECK(path.read(offset, start.size()) == kept_back);
    }
}

TEST_CASE("a completed save is on stable storage, its first bytes and its name after all else",
          "[migration_file]") {
    const TempFile path;
    FdSets sets;
    Calls expected;
    auto target = mfd::resolve_target(sets, path.path(), 0, FileUse::Save, PageIo::Buffered);
    REQUIRE(target.has_value());
    SECTION("in a file that is there") {
        expected = {"fdatasync", "pwrite 8 at 0", "fdatasync"};
    }
    SECTION("in a new file") {
        std::filesystem::remove(path.path());
        expected = {"pwrite 8 at 0", "fdatasync", "publish", "fsync"};
    }
    SECTION("in a new file with its name from the start") {
        std::filesystem::remove(path.path());
        target->appears = mfd::Appears::AtOnce;
        expected = {"fdatasync", "pwrite 8 at 0", "fdatasync", "fsync"};
    }
    SECTION("but not if that is not wanted") {
        target->durability = mfd::Durability::PageCache;
        expected = {"pwrite 8 at 0"};
    }
    auto file = MigrationFile::open_save(std::move(*target));
    REQUIRE(file.has_value());
    REQUIRE(file->write_start(std::vector<std::byte>(20, std::byte{1})).has_value());
    const mfd::test::CallLog log;
    REQUIRE(file->complete({}).has_value());
    CHECK(log.calls() == expected);
}

TEST_CASE("an old stream is destroyed on stable storage before its pages go", "[migration_file]") {
    const TempFile path;
    path.write(0, std::vector<std::byte>(10'000, std::byte{7}));
    FdSets sets;
    auto target = mfd::resolve_target(sets, path.path(), 5000, FileUse::Save, PageIo::Buffered);
    REQUIRE(target.has_value());
    SECTION("where the file is cut") {
        const mfd::test::CallLog log;
        REQUIRE(MigrationFile::open_save(std::move(*target)).has_value());
        CHECK(log.calls() == Calls{"pwrite 8 at 5000", "fdatasync", "ftruncate to 5000"});
    }
    SECTION("where its blocks are used again") {
        target->old_blocks = mfd::OldBlocks::Reuse;
        auto file = MigrationFile::open_save(std::move(*target));
        REQUIRE(file.has_value());
        const mfd::test::CallLog log;
        REQUIRE(file->reserve(20'000).has_value());
        CHECK(log.calls() == Calls{"ftruncate to 20000", "pwrite 8 at 5000", "fdatasync"});
    }
}

TEST_CASE("space that is not there is not taken", "[migration_file]") {
    const TempFile path;
    FdSets sets;
    auto file = open(sets, path.path(), 0, FileUse::Save);
    REQUIRE(file.has_value());
    mfd::test::CallLog log;
    log.free_blocks = 3;
    const auto refused = file->preallocate(std::uint64_t{4} << 20);
    REQUIRE(refused.has_error());
    CHECK(refused.error().sys == ENOSPC);
    CHECK(log.calls().empty());
}

TEST_CASE("what cannot be opened or cut is refused with QEMU's words", "[migration_file]") {
    FdSets sets;
    const TempFile file;
    CHECK(error_of(open(sets, "/nonexistent/x", 0, FileUse::Save)) ==
          "Could not create '/nonexistent/x': No such file or directory");
    CHECK(error_of(open(sets, "/nonexistent/x", 0, FileUse::Load)) ==
          "Could not open '/nonexistent/x': No such file or directory");
    CHECK(error_of(open(sets, "/", 0, FileUse::Save)) == "Could not create '/': Is a directory");
    CHECK(error_of(open(sets, "/dev/null", 0, FileUse::Save)) ==
          "failed to truncate migration file to offset 0 ('/dev/null'): Invalid argument");
    CHECK(error_of(open(sets, file.path(), UINT64_MAX, FileUse::Save)) ==
          "failed to truncate migration file to offset ffffffffffffffff ('" + file.path() +
              "'): Invalid argument");
}

TEST_CASE("a FIFO without a reader is refused instead of waited for", "[migration_file]") {
    const TempFile mark;
    const std::string fifo = mark.path() + ".fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    FdSets sets;
    CHECK(error_of(open(sets, fifo, 0, FileUse::Save)) ==
          "Could not create '" + fifo + "': No such device or address");
    std::filesystem::remove(fifo);
}

TEST_CASE("without an offset the stream begins where a passed descriptor stands",
          "[migration_file]") {
    const TempFile path;
    path.write(0, std::vector<std::byte>(8000, std::byte{7}));
    const auto use = GENERATE(FileUse::Save, FileUse::Load);
    FdSets sets;
    auto passed = path.open(use == FileUse::Save ? O_WRONLY : O_RDONLY);
    REQUIRE(::lseek(passed.get(), 777, SEEK_SET) == 777);
    const auto watch = sets.add(std::move(passed), 1, {});
    REQUIRE(watch.has_value());
    const auto file = open(sets, "/dev/fdset/1", 0, use);
    REQUIRE(file.has_value());
    CHECK(file->stream_offset() == 777);
    CHECK(file->size_bytes().value() == (use == FileUse::Save ? 0 : 8000));
    CHECK(::lseek(watch->fd, 0, SEEK_CUR) == 777);
}

TEST_CASE("with an offset the position of a passed descriptor stays as it is", "[migration_file]") {
    const TempFile path;
    FdSets sets;
    const auto watch = sets.add(path.open(O_WRONLY), 1, {});
    auto file = open(sets, "/dev/fdset/1", 4000, FileUse::Save);
    REQUIRE(file.has_value());
    CHECK(file->stream_offset() == 4000);
    REQUIRE(file->write_meta(kText, 4000).has_value());
    CHECK(::lseek(watch->fd, 0, SEEK_CUR) == 0);
}

TEST_CASE("direct I/O opens a second descriptor and knows its alignment", "[migration_file]") {
    const TempFile path;
    if (!path.offers_direct_io())
        SKIP("the file system of the temporary folder has no O_DIRECT");
    FdSets sets;
    const auto use = GENERATE(FileUse::Save, FileUse::Load);
    const auto file = open(sets, path.path(), 0, use, PageIo::Direct);
    REQUIRE(file.has_value());
    REQUIRE(file->direct_fd().valid());
    CHECK((::fcntl(file->direct_fd().get(), F_GETFL) & O_DIRECT) != 0);
    CHECK((::fcntl(file->buffered_fd().get(), F_GETFL) & (O_DIRECT | O_NONBLOCK)) == 0);
    CHECK(file->alignment().offset_bytes >= 512);
    CHECK(file->alignment().offset_bytes <= 65536);
}

TEST_CASE("direct I/O from a set without an O_DIRECT descriptor is refused before anything is cut",
          "[migration_file]") {
    const TempFile path;
    path.write(0, std::vector<std::byte>(100, std::byte{7}));
    FdSets sets;
    REQUIRE(sets.add(path.open(O_WRONLY), 1, {}).has_value());
    REQUIRE(sets.add(path.open(O_RDONLY), 1, {}).has_value());
    CHECK(error_of(open(sets, "/dev/fdset/1", 0, FileUse::Save, PageIo::Direct)) ==
          "Failed to find file descriptor with matching flags=0x4001 (direct-io needs a "
          "write-only O_DIRECT descriptor in the set, beside the buffered one)");
    CHECK(error_of(open(sets, "/dev/fdset/1", 0, FileUse::Load, PageIo::Direct)) ==
          "Failed to find file descriptor with matching flags=0x4000");
    CHECK(path.read(0, 100) == std::vector<std::byte>(100, std::byte{7}));
}

TEST_CASE("a pair of descriptors of two different files is refused untouched", "[migration_file]") {
    const TempFile path;
    const TempFile other;
    if (!other.offers_direct_io())
        SKIP("the file system of the temporary folder has no O_DIRECT");
    path.write(0, std::vector<std::byte>(100, std::byte{7}));
    FdSets sets;
    REQUIRE(sets.add(path.open(O_WRONLY), 1, {}).has_value());
    REQUIRE(sets.add(other.open(O_WRONLY | O_DIRECT), 1, {}).has_value());
    CHECK(error_of(open(sets, "/dev/fdset/1", 0, FileUse::Save, PageIo::Direct)) ==
          "'/dev/fdset/1': the buffered and the direct descriptor are different files");
    CHECK(path.read(0, 100) == std::vector<std::byte>(100, std::byte{7}));
}

TEST_CASE("a file whose kind knows no direct I/O is refused for it by name", "[migration_file]") {
    FdSets sets;
    CHECK(error_of(open(sets, "/proc/self/maps", 0, FileUse::Load, PageIo::Direct)) ==
          "Could not open '/proc/self/maps' with O_DIRECT: its file system does not offer direct "
          "I/O");
}

TEST_CASE("a descriptor without a position has no stream", "[migration_file]") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const mfd::UniqueFd writer(ends[1]);
    FdSets sets;
    REQUIRE(sets.add(mfd::UniqueFd(ends[0]), 1, {}).has_value());
    CHECK(error_of(open(sets, "/dev/fdset/1", 0, FileUse::Load)) ==
          "find the file position of '/dev/fdset/1': Illegal seek");
}

TEST_CASE("metadata is read whole, or up to the end of the file", "[migration_file]") {
    const TempFile path;
    path.write(0, kText);
    FdSets sets;
    const auto file = open(sets, path.path(), 0, FileUse::Load);
    REQUIRE(file.has_value());
    std::array<std::byte, 3> three{};
    REQUIRE(file->read_meta(three, 0).has_value());
    CHECK(three == kText);
    const auto cut = file->read_meta(three, 1);
    REQUIRE(cut.has_error());
    CHECK(cut.error().what ==
          "'" + path.path() + "' at 0x1: read file: it ends at offset 3, 1 bytes short");
    CHECK(file->read_meta_up_to(three, 1).value() == 2);

    const auto folder = open(sets, "/proc/self", 0, FileUse::Load);
    REQUIRE(folder.has_value());
    CHECK(folder->read_meta_up_to(three, 0).error().what ==
          "'/proc/self' at 0x0: read file: Is a directory");
}

TEST_CASE("finishing gives a set's duplicates back", "[migration_file]") {
    const TempFile path;
    FdSets sets;
    REQUIRE(sets.add(path.open(O_WRONLY), 1, {}).has_value());
    auto file = open(sets, "/dev/fdset/1", 0, FileUse::Save);
    REQUIRE(file.has_value());
    REQUIRE(sets.remove(1, {}).has_value());
    CHECK(sets.query().size() == 1);
    CHECK(file->finish().has_value());
    CHECK(sets.query().empty());
}
