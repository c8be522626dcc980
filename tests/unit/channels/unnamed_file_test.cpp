#include "channels/unnamed_file.hpp"

#include "channels/file_io.hpp"
#include "temp_file.hpp"
#include "tests/support/temp_folder.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <filesystem>

#include <sys/stat.h>

using mfd::UnnamedFile;
using mfd::test::TempFolder;

namespace {

constexpr std::array kContent{std::byte{'r'}, std::byte{'a'}, std::byte{'m'}};

// Without a name, and with the hidden one of file systems that need it.
UnnamedFile create(const std::string& path, bool hidden) {
    if (hidden) {
        auto made = UnnamedFile::create_hidden(path);
        REQUIRE(made.has_value());
        return std::move(*made);
    }
    auto made = UnnamedFile::create(path);
    REQUIRE(made.has_value());
    REQUIRE(made->has_value());
    return std::move(**made);
}

} // namespace

TEST_CASE("a file is found under its name only once it is published", "[unnamed_file]") {
    const bool hidden = GENERATE(false, true);
    const TempFolder folder;
    const auto path = folder.file("guest.mig");
    {
        auto file = create(path, hidden);
        REQUIRE(mfd::write_all_at(file.fd(), kContent, 0).has_value());
        CHECK_FALSE(std::filesystem::exists(path));
        CHECK(folder.entries() == (hidden ? 1 : 0));
        REQUIRE(file.publish().has_value());
        REQUIRE(mfd::sync_folder_of(path, file.fd()).has_value());
        CHECK(file.close().has_value());
    }
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK(std::filesystem::file_size(path) == kContent.size());
    CHECK((info.st_mode & 0777) == 0600);
    CHECK(info.st_nlink == 1);
}

TEST_CASE("a file that was not published leaves nothing behind", "[unnamed_file]") {
    const bool hidden = GENERATE(false, true);
    const TempFolder folder;
    {
        const auto file = create(folder.file("guest.mig"), hidden);
        CHECK(mfd::UniqueFd(::open(file.path_to_open().c_str(), O_RDONLY | O_CLOEXEC)).valid());
    }
    CHECK(folder.entries() == 0);
}

TEST_CASE("a name that was taken meanwhile is not taken away", "[unnamed_file]") {
    const bool hidden = GENERATE(false, true);
    const TempFolder folder;
    const auto path = folder.file("guest.mig");
    {
        auto file = create(path, hidden);
        const mfd::UniqueFd other(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        REQUIRE(mfd::write_all_at(other.ref(), kContent, 0).has_value());
        const auto published = file.publish();
        REQUIRE(published.has_error());
        CHECK(published.error().sys == EEXIST);
        CHECK(published.error().what ==
              "give the complete file its name '" + path + "': File exists");
    }
    CHECK(std::filesystem::file_size(path) == kContent.size());
    std::filesystem::remove(path);
    CHECK(folder.entries() == 0);
}

TEST_CASE("where something is already, nothing is made", "[unnamed_file]") {
    const TempFolder folder;
    const auto link = folder.file("link");
    std::filesystem::create_symlink(folder.file("nowhere"), link);
    for (const std::string& path : {link, folder.file(""), std::string("/dev/null")}) {
        const auto made = UnnamedFile::create(path);
        REQUIRE(made.has_value());
        CHECK_FALSE(made->has_value());
    }
    const auto refused = UnnamedFile::create(folder.file("none/guest.mig"));
    REQUIRE(refused.has_error());
    CHECK(refused.error().what ==
          "Could not create '" + folder.file("none/guest.mig") + "': No such file or directory");
}
