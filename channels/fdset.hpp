// Descriptors that clients passed in, kept in numbered sets, and /dev/fdset/N opened from them by
// QEMU's rules (access mode and O_DIRECT decide, newest first).
// Control thread only. A SetDup may be released on any thread: it keeps its set listed by a
// counter, and the control thread drops an empty set at its next look.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

// A duplicate of a set's descriptor. While one lives, its set exists, with or without members.
class SetDup {
public:
    SetDup(UniqueFd fd, std::shared_ptr<const void> use)
        : use_(std::move(use)), fd_(std::move(fd)) {}
    [[nodiscard]] FdRef ref() const { return fd_.ref(); }

private:
    std::shared_ptr<const void> use_; // first, so that the descriptor is closed when it goes
    UniqueFd fd_;
};

class FdSets {
public:
    struct Added {
        std::int64_t set_id = 0;
        int fd = -1; // the number shown to the client
    };
    struct Member {
        int fd = -1; // the number shown to the client
        std::optional<std::string> opaque;
        FdRef descriptor; // until the member is removed
    };
    struct Set {
        std::int64_t id = 0;
        std::vector<Member> fds; // in the order of adding
    };

    // Without an id: the lowest free one. The descriptor is closed if the id is refused.
    Result<Added> add(UniqueFd fd, std::optional<std::int64_t> set_id,
                      std::optional<std::string> opaque);
    // Puts a member back that an earlier process had, under the number that its clients know.
    Result<void> restore(std::int64_t set_id, UniqueFd fd, int number,
                         std::optional<std::string> opaque);
    // Closes one descriptor, or all of the set.
    Result<void> remove(std::int64_t set_id, std::optional<std::int64_t> fd);
    // Sets by descending id.
    [[nodiscard]] std::vector<Set> query();

    // Does this file name mean a set? (It may still be one that cannot be parsed.)
    [[nodiscard]] static bool is_fdset_path(std::string_view path);
    // `flags` as for open(2). Never blocks.
    Result<SetDup> open(std::string_view path, int flags);

private:
    struct OwnedMember {
        UniqueFd fd;
        int number = -1; // that of `fd`, unless a restored member is known by it
        std::optional<std::string> opaque;
    };
    struct OwnedSet {
        std::vector<OwnedMember> members; // in the order of adding
        std::shared_ptr<const void> use;  // one more owner per duplicate
    };
    OwnedSet& make_set(std::int64_t set_id);
    [[nodiscard]] bool is_shown(int number) const;
    void drop_unused_sets();

    std::map<std::int64_t, OwnedSet> sets_;
};

} // namespace mfd
