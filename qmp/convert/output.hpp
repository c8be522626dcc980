// Where a conversion writes: a file that appears under its name only when it is complete, or
// standard output.
#pragma once

#include "qmp/files/output_file.hpp"

#include <optional>
#include <string>
#include <utility>

namespace mfd::convert {

class Output {
public:
    // `path` may be "-".
    static Result<Output> create(const std::string& path, Existing existing);

    [[nodiscard]] bool is_file() const { return file_.has_value(); }
    [[nodiscard]] FdRef fd() const;
    // To open a file that has no name yet for reading.
    [[nodiscard]] std::string path_to_open() const;

    // Gives a file its name; both are on stable storage then.
    Result<void> publish();

private:
    explicit Output(std::optional<files::OutputFile> file) : file_(std::move(file)) {}
    std::optional<files::OutputFile> file_;
};

} // namespace mfd::convert
