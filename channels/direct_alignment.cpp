#include "channels/direct_alignment.hpp"

#include "channels/file_io.hpp"
#include "proto/checked.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

namespace mfd {

namespace {

// Above this no device or file system is known; a probe buffer of this size is no burden.
constexpr std::uint32_t kLargestAlignment = 64 * 1024;

Error make_unsupported() {
    return Error{Errc::Unsupported, "the file does not offer direct I/O (O_DIRECT), although it "
                                    "could be opened for it"};
}

// What the file system says; nothing if it does not know (before Linux 6.1, or not its habit).
Result<std::optional<DirectAlignment>> ask_statx(FdRef fd) {
#ifdef STATX_DIOALIGN
    struct statx info {};
    if (::statx(fd.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) != 0 ||
        (info.stx_mask & STATX_DIOALIGN) == 0)
        return std::optional<DirectAlignment>();
    const std::uint32_t memory = info.stx_dio_mem_align;
    const std::uint32_t offset = info.stx_dio_offset_align;
    if (memory == 0 || offset == 0)
        return make_unsupported();
    if (!std::has_single_bit(memory) || !std::has_single_bit(offset) ||
        memory > kLargestAlignment || offset > kLargestAlignment)
        return Error{Errc::Unsupported, "direct I/O with an alignment of " +
                                            std::to_string(std::max(memory, offset)) +
                                            " bytes is not supported"};
    return std::optional(DirectAlignment{memory, offset});
#else
    static_cast<void>(fd);
    return std::optional<DirectAlignment>();
#endif
}

// Tries one transfer per alignment, smallest first. `attempt(bytes)` answers as pread(2).
template <class Attempt>
Result<DirectAlignment> probe(Attempt attempt) {
    Retries retries;
    for (std::uint32_t bytes = kPageSize; bytes <= kLargestAlignment; bytes *= 2) {
        ssize_t moved = attempt(bytes);
        while (moved < 0 && retries.again(errno))
            moved = attempt(bytes);
        if (moved >= 0)
            return DirectAlignment{kPageSize, bytes};
        if (errno != EINVAL)
            return make_sys_error("try direct I/O", errno);
    }
    return make_unsupported();
}

} // namespace

Result<DirectAlignment> ask_save_alignment(FdRef fd, std::uint64_t stream_offset,
                                           std::uint64_t file_bytes) {
    MFD_TRY(const auto told, ask_statx(fd));
    if (told)
        return *told;
    const auto at = checked_round_up(std::max(stream_offset, file_bytes), kLargestAlignment);
    if (!at || *at > INT64_MAX - kLargestAlignment)
        return Error{Errc::BadArgument, "the file offset is too large"};
    alignas(kPageSize) static const std::byte zeros[kLargestAlignment] = {};
    auto found = probe([&](std::size_t bytes) {
        return ::pwrite(fd.get(), zeros, bytes, static_cast<off_t>(*at));
    });
    if (::ftruncate(fd.get(), static_cast<off_t>(file_bytes)) != 0)
        return make_sys_error("cut the file after a try of direct I/O", errno);
    return found;
}

Result<DirectAlignment> ask_load_alignment(FdRef fd) {
    MFD_TRY(const auto told, ask_statx(fd));
    if (told)
        return *told;
    alignas(kPageSize) static thread_local std::byte scratch[kLargestAlignment];
    return probe([&](std::size_t bytes) { return ::pread(fd.get(), scratch, bytes, 0); });
}

} // namespace mfd
