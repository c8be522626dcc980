// The descriptors of a guest that are, or shall be, in the service manager's store, and their names
// there. The manager keeps one descriptor per open file description, so what several objects have
// duplicates of is kept once, under one name. Control thread.
#pragma once

#include "channels/unique_fd.hpp"
#include "daemon/service/fd_store.hpp"
#include "daemon/service/passed_descriptors.hpp"
#include "proto/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

// The first user of a descriptor gives it its name: "ram-3".
enum class DescriptorRole : std::uint8_t { Ram, DirtyLog, Fdset, Named, Loaded };
inline constexpr std::array<std::string_view, 5> kRoleNames = {"ram", "log", "fdset", "named",
                                                               "loaded"};

// The number in "ram-3" of one of these roles; nothing for other names.
[[nodiscard]] std::optional<std::uint64_t> kept_number(std::string_view name);

class KeptDescriptors {
public:
    // `store` outlives this.
    explicit KeptDescriptors(FdStore& store) : store_(store) {}

    // One that is in the store already.
    void adopt(PassedDescriptor member);
    // A new reference to it. Refused if the store has no such name.
    [[nodiscard]] Result<UniqueFd> take(const std::string& name) const;

    // Between begin_use() and remove_unused() every descriptor that shall stay is asked for here.
    void begin_use();
    [[nodiscard]] Result<std::string> name_of(FdRef fd, DescriptorRole role);
    // Stores what is new. After an error it can be called again.
    [[nodiscard]] Result<void> push_new();
    void remove_unused();

    [[nodiscard]] std::size_t count() const { return entries_.size(); }

private:
    struct Entry {
        std::string name;
        UniqueFd fd; // of our own, so that no other descriptor gets its number
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
        bool stored = false;
        bool used = false;
    };
    FdStore& store_;
    std::vector<Entry> entries_;
    std::uint64_t next_number_ = 1;
};

} // namespace mfd
