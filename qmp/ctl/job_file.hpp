// The file of a save or restore on the tool's side: opened here, with the rights of whoever runs
// the tool, and handed to the server as an fdset of one buffered and perhaps one O_DIRECT
// descriptor.
#pragma once

#include "channels/unique_fd.hpp"
#include "channels/unnamed_file.hpp"
#include "proto/error.hpp"
#include "qmp/client.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace mfd::ctl {

enum class DirectIo : std::uint8_t {
    No,
    IfPossible, // not an error where the file system has no O_DIRECT
};

class JobFile {
public:
    // A new file has no name until complete(). One that is there is never cut, that is the server's
    // part (bytes before an offset survive).
    static Result<JobFile> open_for_save(const std::string& path, DirectIo direct);
    static Result<JobFile> open_for_restore(const std::string& path, DirectIo direct);

    [[nodiscard]] bool direct() const { return direct_.valid(); }
    // Why there is no direct descriptor although one was wanted; empty otherwise.
    [[nodiscard]] const std::string& note() const { return note_; }

    // Makes a new fdset on the server and adds the descriptors. Gives its number.
    Result<std::int64_t> add_to(qmp::Client& client, const std::string& purpose);
    // Removes the fdset, if there is one, and waits until the server has let go of it: a set stays
    // listed while a job holds duplicates of its descriptors.
    Result<void> remove_from(qmp::Client& client);

    // Brings the data to stable storage, which QEMU itself leaves to the page cache; then a new
    // file gets its name, on stable storage as well. Refused (EEXIST) if the name is taken by now.
    Result<void> complete();
    // Has it no name yet? Then nothing of it stays without complete().
    [[nodiscard]] bool unnamed() const { return unnamed_.has_value(); }

private:
    explicit JobFile(std::string path) : path_(std::move(path)) {}
    static Result<JobFile> open(const std::string& path, DirectIo direct, int flags);
    // `there`: where the file can be opened once more.
    Result<void> open_direct(const std::string& there, DirectIo direct, int access);
    [[nodiscard]] FdRef buffered() const { return unnamed_ ? unnamed_->fd() : named_.ref(); }

    std::string path_;
    UniqueFd named_;
    std::optional<UnnamedFile> unnamed_; // instead of it
    UniqueFd direct_;
    std::string note_;
    std::optional<std::int64_t> fdset_;
};

} // namespace mfd::ctl
