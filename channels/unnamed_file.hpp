// A new file that has no name until it is complete, so that nobody finds half of one and a process
// that dies leaves nothing behind. Where the file system cannot do without a name it gets a hidden
// one in the same folder meanwhile. Any thread; calls block for as long as the file system does.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace mfd {

// What becomes of a file that has the name already.
enum class Existing : std::uint8_t { Keep, Replace };

class UnnamedFile {
public:
    // A file, for the owner alone, that can become `path`, open for writing. Nothing if something
    // is there already, be it a dangling link, or if `path` is no name for a file.
    static Result<std::optional<UnnamedFile>> create(const std::string& path);
    // The way of file systems that do not know files without a name; the only one to replace a
    // file.
    static Result<UnnamedFile> create_hidden(const std::string& path,
                                             Existing existing = Existing::Keep);

    UnnamedFile(UnnamedFile&& other) noexcept;
    UnnamedFile& operator=(UnnamedFile&& other) noexcept;
    UnnamedFile(const UnnamedFile&) = delete;
    UnnamedFile& operator=(const UnnamedFile&) = delete;
    // Without publish() the file is gone.
    ~UnnamedFile();

    [[nodiscard]] FdRef fd() const { return fd_.ref(); }
    // What open(2) takes to open the file once more; good for as long as this lives.
    [[nodiscard]] std::string path_to_open() const;

    // Gives the file its name. With Existing::Keep refused (EEXIST) if the name is taken by now:
    // what is there stays.
    Result<void> publish();

    // Closes the descriptor and reports what close(2) has to say.
    Result<void> close();

private:
    UnnamedFile(std::string path, std::string hidden, UniqueFd fd, Existing existing)
        : path_(std::move(path)), hidden_(std::move(hidden)), fd_(std::move(fd)),
          existing_(existing) {}

    std::string path_;
    std::string hidden_; // the name meanwhile; empty: none
    UniqueFd fd_;
    Existing existing_;
};

// Brings the entry of a file made in a folder to stable storage; `fd` is the file.
Result<void> sync_folder_of(const std::string& path, FdRef fd);

} // namespace mfd
