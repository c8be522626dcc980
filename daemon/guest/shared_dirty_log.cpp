#include "daemon/guest/shared_dirty_log.hpp"

#include "proto/checked.hpp"

#include <atomic>
#include <bit>
#include <cerrno>
#include <span>

#include <sys/mman.h>
#include <sys/stat.h>

namespace mfd {

namespace {

// The descriptor is mapped by another process, which counts in bytes.
static_assert(std::endian::native == std::endian::little);
static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);

std::uint64_t take_word(std::uint64_t& word) {
    const std::atomic_ref<std::uint64_t> shared(word);
    // Most words are 0, and looking is cheaper than taking a cache line from its writer.
    if (shared.load(std::memory_order_relaxed) == 0)
        return 0;
    // Acquires what was written before the bit was set; the writer's OR releases it.
    return shared.exchange(0, std::memory_order_acq_rel);
}

} // namespace

Result<void> SharedDirtyLog::check_length() const {
    struct stat status = {};
    const std::string what = "read dirty log of block " + block_->block_name();
    if (::fstat(block_->dirty_log().get(), &status) != 0)
        return make_sys_error(what, errno);
    if (static_cast<std::uint64_t>(status.st_size) < bitmap_bytes(block_->size() / kPageSize))
        return Error{Errc::WrongState, what + ": its owner has made it too short for the block"};
    return {};
}

Result<SharedDirtyLog> SharedDirtyLog::map(const MemoryBackend& block) {
    const std::uint64_t bytes = bitmap_bytes(block.size() / kPageSize);
    void* const data =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, block.dirty_log().get(), 0);
    if (data == MAP_FAILED)
        return make_sys_error("map dirty log of block " + block.block_name(), errno);
    SharedDirtyLog log(block, MappedMemory(static_cast<std::byte*>(data), bytes));
    MFD_CHECK(log.check_length());
    return log;
}

Result<void> SharedDirtyLog::reset() {
    PageBitmap ignored(block_->size() / kPageSize);
    MFD_CHECK(take_written(ignored));
    return {};
}

Result<std::uint64_t> SharedDirtyLog::take_written(PageBitmap& into) {
    const std::uint64_t pages = block_->size() / kPageSize;
    if (into.pages() != pages)
        return Error{Errc::BadArgument, "read dirty log of block " + block_->block_name() +
                                            ": the bitmap is of another size"};
    MFD_CHECK(check_length());
    const std::span<std::uint64_t> log(reinterpret_cast<std::uint64_t*>(mapping_.data()),
                                       mapping_.bytes() / sizeof(std::uint64_t));
    const std::span<std::uint64_t> words = into.words();
    std::uint64_t written = 0;
    for (std::size_t i = 0; i < log.size(); ++i) {
        std::uint64_t bits = take_word(log[i]);
        // Bits past the block's end mean nothing, whoever set them.
        if (const std::uint64_t left = pages - i * PageBitmap::kPagesPerWord;
            left < PageBitmap::kPagesPerWord)
            bits &= (std::uint64_t{1} << left) - 1;
        words[i] |= bits;
        written += static_cast<std::uint64_t>(std::popcount(bits));
    }
    return written;
}

} // namespace mfd
