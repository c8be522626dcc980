#include "channels/fdset.hpp"

#include "channels/hex.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fcntl.h>

namespace mfd {

namespace {

constexpr std::string_view kFdsetPrefix = "/dev/fdset/";

// Digits only, and QEMU reads them as an int.
std::optional<int> parse_set_id(std::string_view text) {
    int id = 0;
    const char* end = text.data() + text.size();
    if (text.empty() || text.front() == '-')
        return std::nullopt;
    const auto parsed = std::from_chars(text.data(), end, id);
    if (parsed.ec != std::errc{} || parsed.ptr != end)
        return std::nullopt;
    return id;
}

Error make_no_such_member(std::int64_t set_id, std::optional<std::int64_t> fd) {
    std::string name = "fdset-id:" + std::to_string(set_id);
    if (fd)
        name += ", fd:" + std::to_string(*fd);
    return Error{Errc::NotFound, "File descriptor named '" + name + "' not found"};
}

// A duplicate with the status flags a fresh open would have had. They belong to the description
// that the client shares; QEMU changes them there, and clients live with it.
Result<UniqueFd> duplicate(int fd, int status_flags) {
    const Error refused{Errc::BadArgument,
                        "Failed to dup() given file descriptor fd=" + std::to_string(fd)};
    // O_SYNC contains the bit of O_DSYNC.
    if ((status_flags & O_SYNC) != 0)
        return refused;
    UniqueFd dup(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!dup.valid())
        return Error{Errc::Io, refused.what, errno};
    constexpr int kCleared = O_APPEND | O_NONBLOCK;
    if ((status_flags & kCleared) != 0 &&
        ::fcntl(dup.get(), F_SETFL, status_flags & ~kCleared) != 0)
        return Error{Errc::Io, refused.what, errno};
    return dup;
}

} // namespace

Result<FdSets::Added> FdSets::add(UniqueFd fd, std::optional<std::int64_t> set_id,
                                  std::optional<std::string> opaque) {
    drop_unused_sets();
    if (set_id && *set_id < 0)
        return Error{Errc::BadArgument, "Parameter 'fdset-id' expects a non-negative value"};
    std::int64_t id = 0;
    if (set_id) {
        id = *set_id;
    } else {
        for (const auto& [used, set] : sets_) { // ascending, so the first gap is the lowest
            if (used != id)
                break;
            ++id;
        }
    }
    int number = fd.get();
    while (is_shown(number))
        ++number;
    make_set(id).members.push_back({std::move(fd), number, std::move(opaque)});
    return Added{id, number};
}

Result<void> FdSets::restore(std::int64_t set_id, UniqueFd fd, int number,
                             std::optional<std::string> opaque) {
    if (set_id < 0 || is_shown(number))
        return Error{Errc::BadFormat, "descriptor " + std::to_string(number) + " of fdset " +
                                          std::to_string(set_id) +
                                          ": the number of the set or the descriptor is wrong"};
    make_set(set_id).members.push_back({std::move(fd), number, std::move(opaque)});
    return {};
}

FdSets::OwnedSet& FdSets::make_set(std::int64_t set_id) {
    OwnedSet& set = sets_[set_id];
    if (set.use == nullptr)
        set.use = std::make_shared<char>();
    return set;
}

bool FdSets::is_shown(int number) const {
    return std::ranges::any_of(sets_, [number](const auto& entry) {
        return std::ranges::any_of(entry.second.members, [number](const OwnedMember& member) {
            return member.number == number;
        });
    });
}

Result<void> FdSets::remove(std::int64_t set_id, std::optional<std::int64_t> fd) {
    drop_unused_sets();
    const auto found = sets_.find(set_id);
    if (found == sets_.end())
        return make_no_such_member(set_id, fd);
    auto& members = found->second.members;
    if (fd) {
        const auto gone = std::ranges::find_if(
            members, [&](const OwnedMember& member) { return member.number == *fd; });
        if (gone == members.end())
            return make_no_such_member(set_id, fd);
        members.erase(gone);
    } else {
        members.clear();
    }
    drop_unused_sets();
    return {};
}

std::vector<FdSets::Set> FdSets::query() {
    drop_unused_sets();
    std::vector<Set> listed;
    listed.reserve(sets_.size());
    for (auto entry = sets_.rbegin(); entry != sets_.rend(); ++entry) {
        Set& set = listed.emplace_back();
        set.id = entry->first;
        for (const OwnedMember& member : entry->second.members)
            set.fds.push_back({member.number, member.opaque, member.fd.ref()});
    }
    return listed;
}

bool FdSets::is_fdset_path(std::string_view path) {
    return path.starts_with(kFdsetPrefix);
}

Result<SetDup> FdSets::open(std::string_view path, int flags) {
    drop_unused_sets();
    const auto id =
        is_fdset_path(path) ? parse_set_id(path.substr(kFdsetPrefix.size())) : std::nullopt;
    if (!id)
        return Error{Errc::BadArgument, "Could not parse fdset " + std::string(path)};
    const auto found = sets_.find(*id);
    if (found == sets_.end())
        return Error{Errc::NotFound,
                     "Failed to find fdset " + std::string(kFdsetPrefix) + std::to_string(*id)};
    const OwnedSet& set = found->second;
    constexpr int kCompared = O_ACCMODE | O_DIRECT;
    for (auto member = set.members.rbegin(); member != set.members.rend(); ++member) {
        const int have = ::fcntl(member->fd.get(), F_GETFL);
        if (have < 0 || (have & kCompared) != (flags & kCompared))
            continue;
        MFD_TRY(auto dup, duplicate(member->fd.get(), have));
        return SetDup(std::move(dup), set.use);
    }
    return Error{Errc::NotFound, "Failed to find file descriptor with matching flags=0x" +
                                     hex_text(static_cast<unsigned>(flags))};
}

void FdSets::drop_unused_sets() {
    // A duplicate dying on another thread meanwhile is only seen at the next look. No new ones can
    // appear: they are made by this thread.
    std::erase_if(sets_, [](const auto& entry) {
        return entry.second.members.empty() && entry.second.use.use_count() == 1;
    });
}

} // namespace mfd
