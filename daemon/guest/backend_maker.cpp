// Makes memory backends: file, mapping, NUMA policy, pages asked for in advance, in this order.
#include "daemon/guest/backing_file.hpp"
#include "daemon/guest/memory_backend.hpp"
#include "proto/checked.hpp"
#include "proto/page_bitmap.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace mfd {

namespace {

// Huge pages of ordinary memory begin at multiples of this.
constexpr std::uint64_t kHugeAlignment = std::uint64_t{2} << 20;
// What one thread of prealloc asks for in one call: large enough to be cheap, and an error comes
// soon.
constexpr std::uint64_t kPreallocStep = std::uint64_t{256} << 20;
constexpr std::size_t kMaxPreallocThreads = 64;

Error cannot_map(const BackendProperties& p, int sys) {
    if (p.type == BackendType::Ram)
        return make_sys_error("cannot set up guest memory '" + p.id + "'", sys);
    return make_sys_error("unable to map backing store for guest RAM", sys);
}

struct MapRequest {
    std::uint64_t bytes = 0;
    std::uint64_t alignment = kPageSize;
    std::uint64_t file_offset = 0;
    FdRef fd;
    int protection = 0;
    int flags = 0;
};

// mmap at a multiple of the alignment: reserve more, map inside, give the rest back.
Result<MappedMemory> map_aligned(const BackendProperties& p, const MapRequest& request) {
    const std::uint64_t slack = request.alignment > kPageSize ? request.alignment : 0;
    const std::uint64_t reserved = request.bytes + slack;
    void* const area =
        ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        return cannot_map(p, errno);
    auto* const begin = static_cast<std::byte*>(area);
    const std::uint64_t rest = reinterpret_cast<std::uintptr_t>(begin) % request.alignment;
    std::byte* const start = begin + (rest == 0 ? 0 : request.alignment - rest);
    void* const mapped = ::mmap(start, request.bytes, request.protection, request.flags | MAP_FIXED,
                                request.fd.get(), static_cast<off_t>(request.file_offset));
    if (mapped == MAP_FAILED) {
        const int sys = errno;
        ::munmap(area, reserved);
        return cannot_map(p, sys);
    }
    if (start > begin)
        ::munmap(begin, static_cast<std::size_t>(start - begin));
    std::byte* const end = start + request.bytes;
    if (end < begin + reserved)
        ::munmap(end, static_cast<std::size_t>(begin + reserved - end));
    return MappedMemory(start, request.bytes);
}

// `flags` say what becomes of pages that are there already.
Result<void> bind_to_nodes(const BackendProperties& p, const MappedMemory& mapping,
                           unsigned flags) {
    if (p.policy == NumaPolicy::Default)
        return {};
    constexpr std::size_t word_bits = sizeof(unsigned long) * 8;
    std::array<unsigned long, 128 / word_bits>
        mask{}; // nodes are below 128: check_backend_values()
    for (const std::uint16_t node : p.host_nodes)
        mask.at(node / word_bits) |= 1UL << (node % word_bits);
    constexpr std::array<int, 4> modes{MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE};
    // The kernel counts one bit less than it is told.
    if (::syscall(SYS_mbind, mapping.data(), mapping.bytes(),
                  modes.at(static_cast<std::size_t>(p.policy)), mask.data(),
                  mask.size() * word_bits + 1, flags) != 0)
        return make_sys_error("cannot bind memory to host NUMA nodes", errno);
    return {};
}

int populate(std::byte* begin, std::uint64_t bytes, int advice) {
    for (std::uint64_t at = 0; at < bytes;) {
        const std::uint64_t step = std::min(kPreallocStep, bytes - at);
        if (::madvise(begin + at, step, advice) == 0)
            at += step;
        else if (errno != EINTR && errno != EAGAIN)
            return errno;
    }
    return 0;
}

Result<void> preallocate(const BackendProperties& p, const MappedMemory& mapping, bool writable,
                         std::uint64_t page_bytes) {
    const int advice = writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    const std::uint64_t pages = mapping.bytes() / page_bytes;
    const std::uint64_t threads =
        std::min<std::uint64_t>({p.prealloc_threads, pages, kMaxPreallocThreads});
    std::vector<int> results(threads, 0);
    {
        std::vector<std::jthread> workers;
        for (std::uint64_t i = 0; i < threads; ++i) {
            const std::uint64_t first = pages * i / threads * page_bytes;
            const std::uint64_t end = pages * (i + 1) / threads * page_bytes;
            workers.emplace_back([&mapping, &results, i, first, end, advice] {
                results[i] = populate(mapping.data() + first, end - first, advice);
            });
        }
    }
    for (const int sys : results) {
        if (sys == EINVAL)
            return Error{Errc::Unsupported,
                         "preallocating memory of '" + p.id + "' needs Linux 5.14 or newer", sys};
        if (sys != 0) // the kernel says EFAULT where a file system is full
            return make_sys_error("preallocating memory of '" + p.id + "' failed", sys);
    }
    return {};
}

} // namespace

class BackendMaker {
public:
    static Result<std::unique_ptr<MemoryBackend>>
    make(BackendProperties properties, const FdsetOpener& open_fdset, MemoryLifetime lifetime);
    static Result<std::unique_ptr<MemoryBackend>> adopt(BackendProperties properties,
                                                        AdoptedMemory memory);

private:
    static Result<UniqueFd> open_dirty_log(const BackendProperties& p,
                                           const FdsetOpener& open_fdset);
    static Result<std::unique_ptr<MemoryBackend>> map(BackendProperties properties,
                                                      BackingFile file, MemoryLifetime lifetime);
};

Result<UniqueFd> BackendMaker::open_dirty_log(const BackendProperties& p,
                                              const FdsetOpener& open_fdset) {
    if (p.dirty_log.empty())
        return UniqueFd();
    const std::string what = "open dirty log " + p.dirty_log + " of '" + p.id + "'";
    if (!open_fdset)
        return Error{Errc::NotFound, what + ": there are no descriptor sets here"};
    auto fd = open_fdset(p.dirty_log, O_RDWR);
    if (!fd.has_value())
        return with_context(what, std::move(fd).error());
    struct stat status = {};
    if (::fstat(fd->get(), &status) != 0)
        return make_sys_error(what, errno);
    const std::uint64_t needed = bitmap_bytes(p.size / kPageSize);
    if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) < needed)
        return Error{Errc::BadArgument, what + ": it must be shared memory of at least " +
                                            std::to_string(needed) +
                                            " bytes, one bit per page of 4 KiB"};
    return std::move(*fd);
}

namespace {

bool is_rom(const BackendProperties& p) {
    return p.type == BackendType::File &&
           (p.rom == OnOffAuto::On || (p.rom == OnOffAuto::Auto && p.readonly));
}

Result<void> check_values(const BackendProperties& p, MemoryLifetime lifetime) {
    MFD_CHECK(check_backend_values(p));
    // In QEMU such a size gets as far as the kernel, except from 2^63 on with a new file.
    if (p.size > kMaxBackendBytes || p.offset > kMaxBackendBytes || p.align > kMaxBackendBytes)
        return cannot_map(p, ENOMEM);
    if (lifetime == MemoryLifetime::Kept && p.type == BackendType::File && !p.share && !is_rom(p))
        return Error{Errc::Unsupported,
                     "memory-backend-file '" + p.id +
                         "' with share=off: its changes would be lost with a restart of the "
                         "daemon; use share=on, or start the daemon with --keep-state off"};
    return {};
}

} // namespace

Result<std::unique_ptr<MemoryBackend>> BackendMaker::make(BackendProperties properties,
                                                          const FdsetOpener& open_fdset,
                                                          MemoryLifetime lifetime) {
    MFD_CHECK(check_values(properties, lifetime));
    MFD_TRY(UniqueFd dirty_log, open_dirty_log(properties, open_fdset));
    MFD_TRY(BackingFile file, open_backing_file(properties, open_fdset, lifetime));
    const std::uint64_t page_bytes = file.page_bytes;
    MFD_TRY(auto backend, map(std::move(properties), std::move(file), lifetime));
    const BackendProperties& p = backend->properties_;
    MFD_CHECK(bind_to_nodes(p, backend->mapping_, MPOL_MF_STRICT | MPOL_MF_MOVE));
    if (p.prealloc)
        MFD_CHECK(preallocate(p, backend->mapping_, !backend->readonly_, page_bytes));
    backend->dirty_log_ = std::move(dirty_log);
    // Only from here on is it the owner's memory; what failed before has changed nothing in it.
    backend->discards_ = p.discard_data && backend->shared_ && !backend->readonly_;
    return backend;
}

Result<std::unique_ptr<MemoryBackend>> BackendMaker::adopt(BackendProperties properties,
                                                           AdoptedMemory memory) {
    MFD_CHECK(check_values(properties, MemoryLifetime::Kept));
    MFD_TRY(BackingFile file, adopt_backing_file(properties, std::move(memory.fd), memory.passed));
    MFD_TRY(auto backend, map(std::move(properties), std::move(file), MemoryLifetime::Kept));
    const BackendProperties& p = backend->properties_;
    MFD_CHECK(bind_to_nodes(p, backend->mapping_, 0));
    backend->dirty_log_ = std::move(memory.dirty_log);
    backend->discards_ = p.discard_data && backend->shared_ && !backend->readonly_;
    return backend;
}

Result<std::unique_ptr<MemoryBackend>>
BackendMaker::map(BackendProperties properties, BackingFile file, MemoryLifetime lifetime) {
    const BackendProperties& p = properties;
    const bool rom = is_rom(p);
    const bool shared =
        p.share || (lifetime == MemoryLifetime::Kept && p.type != BackendType::File);
    const bool huge = file.page_bytes == kPageSize && p.size >= kHugeAlignment;

    MapRequest request;
    request.bytes = file.map_bytes;
    request.alignment = std::max({huge ? kHugeAlignment : kPageSize, file.page_bytes, p.align});
    request.file_offset = p.offset;
    request.fd = file.fd.ref();
    request.protection = rom ? PROT_READ : PROT_READ | PROT_WRITE;
    request.flags = (shared ? MAP_SHARED : MAP_PRIVATE) | (p.reserve ? 0 : MAP_NORESERVE) |
                    (file.fd.valid() ? 0 : MAP_ANONYMOUS);
    MFD_TRY(MappedMemory mapping, map_aligned(p, request));

    // Advice; the memory serves without. A core dump with the guest's RAM in it helps nobody.
    static_cast<void>(::madvise(mapping.data(), mapping.bytes(), MADV_DONTDUMP));
    if (huge && file.kind != MemoryKind::Regular)
        static_cast<void>(::madvise(mapping.data(), mapping.bytes(), MADV_HUGEPAGE));

    std::unique_ptr<MemoryBackend> backend(new MemoryBackend);
    backend->block_name_ = p.block_name();
    backend->kind_ = file.kind;
    backend->shared_ = shared;
    backend->readonly_ = rom;
    backend->passed_ = file.passed;
    backend->foreign_ = file.passed && p.share;
    backend->page_bytes_ = file.page_bytes;
    backend->fd_ = std::move(file.fd);
    backend->own_position_ = std::move(file.own_position);
    backend->mapping_ = std::move(mapping);
    backend->faults_ = FaultWatch({backend->mapping_.data(), backend->mapping_.bytes()},
                                  backend->fd_.ref(), properties.offset, backend->page_bytes_);
    backend->properties_ = std::move(properties);
    return backend;
}

Result<std::unique_ptr<MemoryBackend>> MemoryBackend::make(BackendProperties properties,
                                                           const FdsetOpener& open_fdset,
                                                           MemoryLifetime lifetime) {
    return BackendMaker::make(std::move(properties), open_fdset, lifetime);
}

Result<std::unique_ptr<MemoryBackend>> MemoryBackend::adopt(BackendProperties properties,
                                                            AdoptedMemory memory) {
    return BackendMaker::adopt(std::move(properties), std::move(memory));
}

} // namespace mfd
