#include "daemon/guest/memory_backend.hpp"

#include "channels/file_io.hpp"
#include "channels/hex.hpp"
#include "daemon/guest/extents.hpp"
#include "daemon/guest/resident_pages.hpp"
#include "proto/checked.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace mfd {

namespace {

bool is_zero(const std::byte* page) {
    std::uint64_t first = 0;
    std::memcpy(&first, page, sizeof(first));
    return first == 0 && std::memcmp(page, page + sizeof(first), kPageSize - sizeof(first)) == 0;
}

// What the file has in `range` of the block, by its own account. Nothing where it has no account.
Result<std::optional<std::vector<ByteExtent>>> file_extents(FdRef file, std::uint64_t file_offset,
                                                            ByteExtent range) {
    std::vector<ByteExtent> found;
    std::uint64_t at = range.offset;
    while (at < range.end()) {
        const off_t data = ::lseek(file.get(), static_cast<off_t>(file_offset + at), SEEK_DATA);
        if (data < 0) {
            if (errno == ENXIO) // no data from here to the file's end
                break;
            if (errno == EINVAL || errno == ESPIPE || errno == EOPNOTSUPP)
                return std::optional<std::vector<ByteExtent>>();
            return make_sys_error("find data in the file behind guest memory", errno);
        }
        const std::uint64_t begin = static_cast<std::uint64_t>(data) - file_offset;
        if (begin >= range.end())
            break;
        const off_t hole = ::lseek(file.get(), data, SEEK_HOLE);
        if (hole < 0 && errno == ENXIO) { // punched or cut between the two calls: look again
            at = begin + kPageSize;
            append_extent(found, begin, at, kPageSize, range);
            continue;
        }
        if (hole <= data)
            return make_sys_error("find holes in the file behind guest memory",
                                  hole < 0 ? errno : EPROTO);
        at = static_cast<std::uint64_t>(hole) - file_offset;
        append_extent(found, begin, at, kPageSize, range);
    }
    return std::optional(std::move(found));
}

bool has_all_blocks(FdRef file) {
    constexpr std::uint64_t block_bytes = 512; // the unit of st_blocks, whatever the file system's
    struct stat status = {};
    return ::fstat(file.get(), &status) == 0 &&
           static_cast<std::uint64_t>(status.st_blocks) * block_bytes ==
               static_cast<std::uint64_t>(status.st_size);
}

std::vector<ByteExtent> shifted(std::vector<ByteExtent> extents, std::uint64_t by) {
    for (ByteExtent& extent : extents)
        extent.offset += by;
    return extents;
}

} // namespace

MappedMemory::MappedMemory(MappedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
    if (this != &other) {
        if (data_ != nullptr)
            ::munmap(data_, bytes_);
        data_ = std::exchange(other.data_, nullptr);
        bytes_ = std::exchange(other.bytes_, 0);
    }
    return *this;
}

MappedMemory::~MappedMemory() {
    if (data_ != nullptr)
        ::munmap(data_, bytes_);
}

MemoryBackend::~MemoryBackend() {
    // discard-data: the owner has said that nobody needs the file's content any more. A refusal by
    // the file system only means that the blocks stay.
    if (discards_)
        static_cast<void>(::madvise(mapping_.data(), mapping_.bytes(), MADV_REMOVE));
}

Result<std::vector<ByteExtent>> MemoryBackend::data_extents() const {
    return data_in({0, size()});
}

Result<std::vector<ByteExtent>> MemoryBackend::data_in(ByteExtent range) const {
    const auto resident = [&](ResidentPages which) -> Result<std::vector<ByteExtent>> {
        MFD_TRY(auto found,
                find_resident_pages(memory().subspan(range.offset, range.length), which));
        return shifted(std::move(found), range.offset);
    };
    if (kind_ == MemoryKind::Anonymous)
        return resident(ResidentPages::All);
    if (kind_ == MemoryKind::Hugetlb) {
        // Files of huge pages keep no account of holes. Of a memfd made here every page that exists
        // was written through this mapping; anything else may hold pages this process has never
        // seen.
        struct stat status = {};
        if (::fstat(fd_.get(), &status) != 0)
            return make_sys_error("look up the file behind block " + block_name_, errno);
        if (status.st_blocks == 0 && shared_)
            return std::vector<ByteExtent>();
        if (properties_.type == BackendType::Memfd)
            return resident(ResidentPages::All);
        return std::vector<ByteExtent>{range};
    }
    if (!seek_fd().valid())
        return std::vector<ByteExtent>{range};
    // Walking through a file without holes takes the kernel 10 ms per GiB, to say just that.
    if (has_all_blocks(seek_fd()))
        return std::vector<ByteExtent>{range};
    MFD_TRY(auto in_file, file_extents(seek_fd(), properties_.offset, range));
    if (!in_file)
        return std::vector<ByteExtent>{range};
    if (shared_)
        return std::move(*in_file);
    MFD_TRY(const auto changed, resident(ResidentPages::OwnOnly));
    return merge_extents(*in_file, changed);
}

Result<void> MemoryBackend::zero_range(std::uint64_t offset, std::uint64_t length) const {
    const auto end = checked_add(offset, length);
    if (offset % kPageSize != 0 || length % kPageSize != 0 || !end || *end > size())
        return Error{Errc::BadArgument, "clear memory of block " + block_name_ +
                                            ": the range is not made of pages of the block"};
    if (readonly_)
        return Error{Errc::WrongState,
                     "clear memory of block " + block_name_ + ": the memory is read-only"};
    if (length == 0)
        return {};
    // Memory asked for in advance must not be given back, and memory that another process uses may
    // be pinned there by a device, which would go on using the pages that were taken away.
    const bool may_discard = !properties_.prealloc && !foreign_;
    if (may_discard && kind_ == MemoryKind::Anonymous)
        return discard_private(offset, length);
    if (may_discard && shared_ && kind_ == MemoryKind::Shmem)
        return punch(offset, length);
    if (may_discard && shared_ && kind_ == MemoryKind::Hugetlb) {
        const std::uint64_t begin =
            std::min(checked_round_up(offset, page_bytes_).value_or(*end), *end);
        const std::uint64_t stop = std::max(begin, *end - *end % page_bytes_);
        MFD_CHECK(write_zeros({offset, begin - offset}));
        if (stop > begin)
            MFD_CHECK(punch(begin, stop - begin));
        return write_zeros({stop, *end - stop});
    }
    return write_zeros({offset, length});
}

Result<void> MemoryBackend::check_intact() const {
    const auto lost = [this](std::uint64_t from, const std::string& why) {
        return Error{Errc::Io,
                     "memory of block " + block_name_ + " is lost from 0x" + hex_text(from) +
                         " on: " + why + "; delete the object and add it again",
                     EFAULT};
    };
    struct stat status = {};
    if (fd_.valid() && ::fstat(fd_.get(), &status) != 0)
        return make_sys_error("look at the file behind memory of block " + block_name_, errno);
    const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
    if (fd_.valid() && S_ISREG(status.st_mode) && file_bytes < properties_.offset + size())
        return lost(file_bytes - std::min(file_bytes, properties_.offset),
                    "its file was shortened to " + std::to_string(file_bytes) + " bytes");
    if (const auto from = faults_.lost_from())
        return lost(*from, "the system could not provide it");
    return {};
}

Result<void> MemoryBackend::discard_private(std::uint64_t offset, std::uint64_t length) const {
    if (::madvise(memory().data() + offset, length, MADV_DONTNEED) != 0)
        return make_sys_error("clear memory of block " + block_name_, errno);
    return {};
}

Result<void> MemoryBackend::punch(std::uint64_t offset, std::uint64_t length) const {
    const std::uint64_t start = properties_.offset + offset;
    if (kind_ == MemoryKind::Shmem) {
        // A look costs far less than a punch, which holds up all other users of the file.
        const off_t data = ::lseek(fd_.get(), static_cast<off_t>(start), SEEK_DATA);
        if (data < 0 ? errno == ENXIO : static_cast<std::uint64_t>(data) >= start + length)
            return {};
    }
    const int refused = punch_hole(fd_.ref(), start, length);
    if (refused == EPERM || refused == EOPNOTSUPP) // sealed against it, or not offered
        return write_zeros({offset, length});
    if (refused != 0)
        return make_sys_error("clear memory of block " + block_name_, refused);
    return {};
}

Result<void> MemoryBackend::write_zeros(ByteExtent range) const {
    if (range.length == 0)
        return {};
    MFD_TRY(const auto extents, data_in(range));
    for (const ByteExtent& extent : extents)
        for (std::uint64_t at = extent.offset; at < extent.end(); at += kPageSize)
            if (std::byte* page = memory().data() + at; !is_zero(page))
                std::memset(page, 0, kPageSize);
    return {};
}

} // namespace mfd
