// Which files a client may name: any, those below some directories, or none, where clients pass
// descriptors alone. The kernel enforces the same (sandbox.hpp); this gives the refusal a text that
// names the option. Control thread.
#pragma once

#include "proto/error.hpp"

#include <string>
#include <vector>

namespace mfd {

class FilePolicy {
public:
    // Any file.
    FilePolicy() = default;
    // --fd-only, or the directories of --allow-dir; with neither, any file. The directories exist.
    static Result<FilePolicy> make(bool descriptors_only,
                                   const std::vector<std::string>& directories);

    // Before `path` is opened for a client: an error if that is not to be. Not for /dev/fdset/N,
    // which is no path.
    [[nodiscard]] Result<void> check(const std::string& path) const;
    // The same for memory that gets a name for a moment (/dev/shm), which no directory covers.
    [[nodiscard]] Result<void> check_shared_memory() const;

    // An error of opening `path`, with the sandbox named where root is refused because it has given
    // up its rights over files of others.
    [[nodiscard]] Error explain(const std::string& path, Error error) const;
    void set_rights_dropped(bool dropped) { rights_dropped_ = dropped; }

    [[nodiscard]] bool anywhere() const { return !descriptors_only_ && directories_.empty(); }
    [[nodiscard]] bool descriptors_only() const { return descriptors_only_; }
    // Without symbolic links.
    [[nodiscard]] const std::vector<std::string>& directories() const { return directories_; }

private:
    bool descriptors_only_ = false;
    bool rights_dropped_ = false;
    std::vector<std::string> directories_;
};

} // namespace mfd
