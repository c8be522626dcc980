#include "daemon/state/kept_descriptors.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <spdlog/spdlog.h>
#include <utility>

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mfd {

namespace {

// Linux 6.10; the headers of older systems do not have it.
constexpr int kDupfdQuery = 1024 + 3;

Result<bool> same_description(FdRef a, FdRef b) {
    if (const int same = ::fcntl(a.get(), kDupfdQuery, b.get()); same >= 0)
        return same == 1;
    const pid_t self = ::getpid();
    const long order = ::syscall(SYS_kcmp, self, self, KCMP_FILE, a.get(), b.get());
    if (order < 0)
        return make_sys_error("compare descriptors (kcmp)", errno);
    return order == 0;
}

Result<UniqueFd> duplicate(FdRef fd, const std::string& name) {
    UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid())
        return make_sys_error("duplicate descriptor '" + name + "'", errno);
    return copy;
}

} // namespace

std::optional<std::uint64_t> kept_number(std::string_view name) {
    const std::size_t dash = name.find('-');
    if (dash == std::string_view::npos ||
        std::ranges::find(kRoleNames, name.substr(0, dash)) == kRoleNames.end())
        return std::nullopt;
    const std::string_view digits = name.substr(dash + 1);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
    if (error != std::errc() || end != digits.end())
        return std::nullopt;
    return number;
}

void KeptDescriptors::adopt(PassedDescriptor member) {
    next_number_ = std::max(next_number_, kept_number(member.name).value_or(0) + 1);
    struct stat status = {};
    static_cast<void>(::fstat(member.fd.get(), &status)); // it is open: it was passed
    entries_.push_back({.name = std::move(member.name),
                        .fd = std::move(member.fd),
                        .device = status.st_dev,
                        .inode = status.st_ino,
                        .stored = true,
                        .used = false});
}

Result<UniqueFd> KeptDescriptors::take(const std::string& name) const {
    const auto found = std::ranges::find(entries_, name, &Entry::name);
    if (found == entries_.end())
        return Error{Errc::NotFound, "the store has no descriptor '" + name +
                                         "', which the state names (is FileDescriptorStoreMax= "
                                         "large enough?)"};
    return duplicate(found->fd.ref(), name);
}

void KeptDescriptors::begin_use() {
    std::erase_if(entries_, [](const Entry& entry) { return !entry.stored; });
    for (Entry& entry : entries_)
        entry.used = false;
}

Result<std::string> KeptDescriptors::name_of(FdRef fd, DescriptorRole role) {
    struct stat status = {};
    if (::fstat(fd.get(), &status) != 0)
        return make_sys_error("look up a descriptor that is to be kept", errno);
    for (Entry& entry : entries_) {
        if (entry.device != status.st_dev || entry.inode != status.st_ino)
            continue;
        MFD_TRY(const bool same, same_description(fd, entry.fd.ref()));
        if (!same)
            continue;
        entry.used = true;
        return entry.name;
    }
    Entry entry;
    entry.name = std::string(kRoleNames.at(static_cast<std::size_t>(role))) + "-" +
                 std::to_string(next_number_);
    MFD_TRY(entry.fd, duplicate(fd, entry.name));
    entry.device = status.st_dev;
    entry.inode = status.st_ino;
    entry.used = true;
    ++next_number_;
    entries_.push_back(std::move(entry));
    return entries_.back().name;
}

Result<void> KeptDescriptors::push_new() {
    for (Entry& entry : entries_) {
        if (!entry.used || entry.stored)
            continue;
        MFD_CHECK(store_.push(entry.name, entry.fd.ref()));
        entry.stored = true;
    }
    return {};
}

void KeptDescriptors::remove_unused() {
    std::erase_if(entries_, [this](const Entry& entry) {
        if (entry.used)
            return false;
        // One that stays behind costs memory, and is removed by the next process.
        if (entry.stored)
            if (const auto removed = store_.remove(entry.name); !removed.has_value())
                spdlog::warn("{}", removed.error().what);
        return true;
    });
}

} // namespace mfd
