// The file of a save or restore on the tool's side: opened here, with the rights of whoever runs
// the tool, and handed to the server as an fdset of one buffered and perhaps one O_DIRECT
// descriptor.
#pragma once

#include "channels/unique_fd.hpp"
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
    // Creates the file if needed; never cuts it, that is the server's part (bytes before an offset
    // survive).
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

    // Data and name on stable storage: QEMU itself leaves the data to the page cache.
    Result<void> sync();
    // After a failed save: removes the file if open_for_save() made it. True if it is gone.
    bool discard();

private:
    static Result<JobFile> open(const std::string& path, DirectIo direct, int flags);

    std::string path_;
    UniqueFd buffered_;
    UniqueFd direct_;
    bool created_ = false;
    std::string note_;
    std::optional<std::int64_t> fdset_;
};

} // namespace mfd::ctl
