#include "daemon/sandbox/file_policy.hpp"

#include "tests/support/temp_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace fs = std::filesystem;
using mfd::FilePolicy;

namespace {

// DIR/inside and DIR/inside-out, and in the first a link that leads to the second.
class Folders {
public:
    Folders() {
        const fs::path& root = root_.path();
        fs::create_directories(root / "inside" / "deep");
        fs::create_directory(root / "inside-out");
        fs::create_directory_symlink(root / "inside-out", root / "inside" / "link");
    }
    [[nodiscard]] std::string at(const std::string& name) const { return root_.file(name); }

private:
    mfd::test::TempFolder root_;
};

} // namespace

TEST_CASE("without options any file may be named", "[sandbox]") {
    const FilePolicy policy;
    CHECK(policy.check("/etc/shadow").has_value());
    CHECK(policy.check_shared_memory().has_value());
}

TEST_CASE("what lies below an allowed directory may be named, wherever the path leads to it",
          "[sandbox]") {
    const Folders folders;
    const auto policy = FilePolicy::make(false, {folders.at("inside")});
    REQUIRE(policy.has_value());
    CHECK(policy->check(folders.at("inside/new")).has_value());
    CHECK(policy->check(folders.at("inside/deep/new")).has_value());
    CHECK(policy->check(folders.at("inside-out/../inside/new")).has_value());
    CHECK(policy->check_shared_memory().has_value());
    for (const char* outside : {"inside/../new", "inside-out/new", "inside/link/new", "new"}) {
        const auto refused = policy->check(folders.at(outside));
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().sys == EACCES);
        CHECK(refused.error().what.find("--allow-dir") != std::string::npos);
    }
    CHECK_FALSE(policy->check("").has_value());
}

TEST_CASE("with descriptors only no file may be named", "[sandbox]") {
    const auto policy = FilePolicy::make(true, {});
    REQUIRE(policy.has_value());
    CHECK(policy->check("/tmp/file").error().what.find("--fd-only") != std::string::npos);
    CHECK(policy->check_shared_memory().error().what.find("--fd-only") != std::string::npos);
}

TEST_CASE("an allowed directory must exist and be one", "[sandbox]") {
    const Folders folders;
    std::ofstream(folders.at("file")) << "x";
    CHECK(FilePolicy::make(false, {folders.at("none")}).error().sys == ENOENT);
    CHECK(FilePolicy::make(false, {folders.at("file")}).error().sys == ENOTDIR);
}
