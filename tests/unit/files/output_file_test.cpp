#include "qmp/files/output_file.hpp"

#include "channels/file_io.hpp"
#include "tests/support/temp_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <filesystem>

using mfd::Existing;
using mfd::files::OutputFile;
using mfd::test::TempFolder;

namespace {

void put(const OutputFile& out, const char* text) {
    const std::string_view bytes(text);
    REQUIRE(mfd::write_all_at(out.fd(), std::as_bytes(std::span(bytes)), 0).has_value());
}

} // namespace

TEST_CASE("a new file appears when it is complete", "[output_file]") {
    const TempFolder folder;
    auto out = OutputFile::create(folder.file("new"), Existing::Keep);
    REQUIRE(out.has_value());
    put(*out, "abc");
    CHECK_FALSE(std::filesystem::exists(folder.file("new")));
    REQUIRE(out->set_length(5000).has_value());
    REQUIRE(out->complete().has_value());
    CHECK(std::filesystem::file_size(folder.file("new")) == 5000);
    CHECK(folder.entries() == 1);
}

TEST_CASE("a file that is not completed leaves nothing, and what was there stays",
          "[output_file]") {
    const TempFolder folder;
    {
        auto first = OutputFile::create(folder.file("f"), Existing::Keep);
        REQUIRE(first.has_value());
        put(*first, "first");
        REQUIRE(first->complete().has_value());
        auto second = OutputFile::create(folder.file("f"), Existing::Replace);
        REQUIRE(second.has_value());
        put(*second, "the second");
        auto third = OutputFile::create(folder.file("other"), Existing::Replace);
        REQUIRE(third.has_value());
    }
    CHECK(std::filesystem::file_size(folder.file("f")) == 5);
    CHECK(folder.entries() == 1);
}

TEST_CASE("a file that is there is replaced only on request, at the end", "[output_file]") {
    const TempFolder folder;
    auto first = OutputFile::create(folder.file("f"), Existing::Keep);
    REQUIRE(first.has_value());
    put(*first, "first");
    REQUIRE(first->complete().has_value());
    CHECK_FALSE(OutputFile::create(folder.file("f"), Existing::Keep).has_value());
    auto second = OutputFile::create(folder.file("f"), Existing::Replace);
    REQUIRE(second.has_value());
    put(*second, "the second");
    CHECK(std::filesystem::file_size(folder.file("f")) == 5);
    REQUIRE(second->complete().has_value());
    CHECK(std::filesystem::file_size(folder.file("f")) == 10);
    CHECK(folder.entries() == 1);
}

TEST_CASE("what is no regular file is never replaced", "[output_file]") {
    const TempFolder folder;
    std::filesystem::create_directory(folder.file("folder"));
    std::filesystem::create_symlink("nowhere", folder.file("link"));
    for (const char* name : {"folder", "link"})
        for (const Existing existing : {Existing::Keep, Existing::Replace})
            CHECK_FALSE(OutputFile::create(folder.file(name), existing).has_value());
    CHECK_FALSE(OutputFile::create("/dev/null", Existing::Replace).has_value());
    CHECK(folder.entries() == 2);
}
