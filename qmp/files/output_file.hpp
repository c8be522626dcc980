// A file that is made: it has its name only when it is complete, so nobody finds half of one, and
// what stood there stays until then.
#pragma once

#include "channels/unnamed_file.hpp"
#include "proto/error.hpp"

#include <cstdint>
#include <string>

namespace mfd::files {

class OutputFile {
public:
    // An empty file for the owner alone, open for writing. Refused (BadArgument) if something has
    // the name, but for Existing::Replace and a regular file.
    static Result<OutputFile> create(const std::string& path, Existing existing);

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] FdRef fd() const { return file_.fd(); }
    // All hole.
    Result<void> set_length(std::uint64_t bytes);

    // Gives the file its name. Without it the file is gone.
    Result<void> complete();
    // The same, with data and name on stable storage.
    Result<void> complete_durably();

private:
    OutputFile(std::string path, UnnamedFile file)
        : path_(std::move(path)), file_(std::move(file)) {}

    std::string path_;
    UnnamedFile file_;
};

} // namespace mfd::files
