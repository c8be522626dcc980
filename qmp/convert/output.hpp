// A file that appears under its name only when it is complete, or standard output.
#pragma once

#include "channels/unnamed_file.hpp"
#include "proto/error.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace mfd::convert {

enum class Existing : std::uint8_t { Refuse, Replace };

class Output {
public:
    // `path` may be "-". What is there already is refused, or replaced when the output is complete.
    static Result<Output> create(const std::string& path, Existing existing);

    [[nodiscard]] bool is_file() const { return file_.has_value(); }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] FdRef fd() const;
    // To open a file that has no name yet for reading.
    [[nodiscard]] std::string path_to_open() const { return file_->path_to_open(); }

    // Brings a file to stable storage and gives it its name.
    Result<void> publish();

private:
    explicit Output(std::string path) : path_(std::move(path)) {}
    std::string path_;
    bool replaces_ = false; // another file, under whose name it will be
    std::optional<UnnamedFile> file_;
};

} // namespace mfd::convert
