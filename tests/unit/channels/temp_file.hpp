// A file that is gone after the test.
#pragma once

#include "channels/file_io.hpp"
#include "channels/unique_fd.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>

namespace mfd::test {

class TempFile {
public:
    TempFile() : path_((std::filesystem::temp_directory_path() / "mfd-test-XXXXXX").string()) {
        const UniqueFd made(::mkstemp(path_.data()));
        REQUIRE(made.valid());
    }
    ~TempFile() { ::unlink(path_.c_str()); }
    TempFile(const TempFile&) = delete;
    TempFile& operator=(const TempFile&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

    [[nodiscard]] UniqueFd open(int flags) const {
        UniqueFd fd(::open(path_.c_str(), flags | O_CLOEXEC));
        REQUIRE(fd.valid());
        return fd;
    }

    [[nodiscard]] std::vector<std::byte> read(std::uint64_t offset, std::size_t bytes) const {
        std::vector<std::byte> data(bytes);
        REQUIRE(read_all_at(open(O_RDONLY).ref(), data, offset).has_value());
        return data;
    }

    void write(std::uint64_t offset, std::span<const std::byte> data) const {
        REQUIRE(write_all_at(open(O_WRONLY).ref(), data, offset).has_value());
    }

    [[nodiscard]] bool offers_direct_io() const {
        return UniqueFd(::open(path_.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC)).valid();
    }

private:
    std::string path_;
};

} // namespace mfd::test
