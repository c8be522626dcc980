#include "disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace mfd::crash {

Extent Content::apply(const Op& op, std::uint64_t from, std::uint64_t to) {
    const auto zero = [this](std::uint64_t begin, std::uint64_t end) {
        std::memset(bytes.data() + begin, 0, end - begin);
        return Extent{begin, end - begin};
    };
    switch (op.kind) {
    case OpKind::Write:
        std::memcpy(bytes.data() + from, op.data.data() + (from - op.offset), to - from);
        length = std::max(length, to);
        return {from, to - from};
    case OpKind::Truncate: {
        const Extent cut = zero(std::min(op.offset, length), length);
        length = op.offset;
        return cut;
    }
    case OpKind::Punch:
        return zero(op.offset, op.end());
    case OpKind::Allocate:
        length = std::max(length, op.end());
        return {};
    case OpKind::Sync:
    case OpKind::Named:
    case OpKind::NameSync:
        return {};
    }
    std::abort();
}

Result<Disk> Disk::make(std::string path, const std::vector<std::byte>& base,
                        std::uint64_t capacity) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(capacity)) != 0)
        return make_sys_error("make '" + path + "'", errno);
    void* const at = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED)
        return make_sys_error("map '" + path + "'", errno);
    Disk disk(std::move(path), std::move(fd), {static_cast<std::byte*>(at), capacity});
    std::ranges::copy(base, disk.stable_bytes_.begin());
    std::ranges::copy(base, disk.state_.bytes.begin());
    disk.stable_.length = base.size();
    return disk;
}

Disk::Disk(std::string path, UniqueFd fd, std::span<std::byte> mapped)
    : path_(std::move(path)), fd_(std::move(fd)),
      stable_bytes_(mapped.size()), stable_{stable_bytes_, 0}, state_{mapped, 0} {}

Disk::Disk(Disk&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::move(other.fd_)),
      stable_bytes_(std::move(other.stable_bytes_)), stable_(other.stable_),
      state_(std::exchange(other.state_, {})), changed_(std::move(other.changed_)) {}

Disk::~Disk() {
    if (!state_.bytes.empty())
        ::munmap(state_.bytes.data(), state_.bytes.size());
}

void Disk::begin() {
    set_file_length(state_.bytes.size()); // all of it can be touched
    for (const Extent& extent : changed_)
        std::memcpy(state_.bytes.data() + extent.offset, stable_.bytes.data() + extent.offset,
                    extent.length);
    changed_.clear();
    state_.length = stable_.length;
}

void Disk::apply_sectors(const Op& op, std::uint64_t sector_bytes,
                         const std::function<bool(std::uint64_t)>& reached) {
    std::uint64_t index = 0;
    for (std::uint64_t from = op.offset; from < op.end(); ++index) {
        const std::uint64_t to = std::min(op.end(), (from / sector_bytes + 1) * sector_bytes);
        if (reached(index))
            changed_.push_back(state_.apply(op, from, to));
        from = to;
    }
}

void Disk::finish() {
    set_file_length(state_.length);
}

void Disk::set_file_length(std::uint64_t length) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(length)) != 0)
        std::abort(); // a memory file system does not refuse that
}

} // namespace mfd::crash
