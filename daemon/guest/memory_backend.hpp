// One piece of guest RAM: the memory a backend object stands for, mapped into the daemon. Made and
// destroyed on the control thread; while a job holds it (GuestMemory::hold) its workers use
// memory(), data_extents() and zero_range() from their own threads. The object owns mapping and
// descriptors.
#pragma once

#include "channels/unique_fd.hpp"
#include "daemon/guest/backend_properties.hpp"
#include "daemon/guest/memory_faults.hpp"
#include "proto/error.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

// A part of a block in bytes.
struct ByteExtent {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    [[nodiscard]] constexpr std::uint64_t end() const { return offset + length; }
    constexpr bool operator==(const ByteExtent&) const = default;
};

// Opens "/dev/fdset/N" as a duplicate of the set's descriptor with exactly the access mode in
// `flags` (O_RDWR or O_RDONLY here). Never called with another kind of path.
using FdsetOpener = std::function<Result<UniqueFd>(std::string_view path, int flags)>;

// A mapping that unmaps itself.
class MappedMemory {
public:
    MappedMemory() = default;
    MappedMemory(std::byte* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
    MappedMemory(MappedMemory&& other) noexcept;
    MappedMemory& operator=(MappedMemory&& other) noexcept;
    MappedMemory(const MappedMemory&) = delete;
    MappedMemory& operator=(const MappedMemory&) = delete;
    ~MappedMemory();
    [[nodiscard]] std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    std::byte* data_ = nullptr;
    std::size_t bytes_ = 0;
};

// What the bytes are made of, which decides how holes are found and how memory is made zero.
enum class MemoryKind : std::uint8_t {
    Anonymous, // private, no file behind it
    Shmem,     // memfd, POSIX shared memory, a file on tmpfs
    Hugetlb,   // memfd or file made of huge pages
    Regular,   // a file on any other file system, or a device
};

// How long the bytes must last.
enum class MemoryLifetime : std::uint8_t {
    Process,
    Kept, // another process may go on with them: a descriptor leads to all of them
};

// Memory as another process of this service left it.
struct AdoptedMemory {
    UniqueFd fd;
    UniqueFd dirty_log;  // invalid: none
    bool passed = false; // a client's descriptor
};

class MemoryBackend {
public:
    // Opens or creates what the properties ask for and maps it. Touches no page unless prealloc is
    // set. `open_fdset` may be empty: then paths of fdsets are refused. Private memory that shall
    // be kept is shared memory that nobody else can find; private changes to a file are refused.
    static Result<std::unique_ptr<MemoryBackend>>
    make(BackendProperties properties, const FdsetOpener& open_fdset,
         MemoryLifetime lifetime = MemoryLifetime::Process);
    // Maps what a backend with these properties left behind, and touches no page.
    static Result<std::unique_ptr<MemoryBackend>> adopt(BackendProperties properties,
                                                        AdoptedMemory memory);

    MemoryBackend(const MemoryBackend&) = delete;
    MemoryBackend& operator=(const MemoryBackend&) = delete;
    ~MemoryBackend();

    [[nodiscard]] const std::string& id() const { return properties_.id; }
    [[nodiscard]] BackendType type() const { return properties_.type; }
    [[nodiscard]] const std::string& block_name() const { return block_name_; }
    [[nodiscard]] const BackendProperties& properties() const { return properties_; }
    [[nodiscard]] MemoryKind kind() const { return kind_; }

    [[nodiscard]] std::span<std::byte> memory() const {
        return {mapping_.data(), static_cast<std::size_t>(properties_.size)};
    }
    [[nodiscard]] std::uint64_t size() const { return properties_.size; }
    // The file behind the memory; invalid for anonymous memory.
    [[nodiscard]] FdRef fd() const { return fd_.ref(); }
    [[nodiscard]] std::uint64_t file_offset() const { return properties_.offset; }
    [[nodiscard]] bool shared() const { return shared_; }
    // The memory cannot be written through memory(): a restore into it must be refused.
    [[nodiscard]] bool readonly() const { return readonly_; }
    // Granularity of the memory: 4096, or the huge page's size.
    [[nodiscard]] std::uint64_t page_bytes() const { return page_bytes_; }
    // The memory came as a passed descriptor.
    [[nodiscard]] bool passed() const { return passed_; }
    // It did, and is shared: another process may write to it.
    [[nodiscard]] bool foreign() const { return foreign_; }
    // The shared dirty bitmap given with x-dirty-log; invalid if none.
    [[nodiscard]] FdRef dirty_log() const { return dirty_log_.ref(); }

    // The content stays when the object goes, whatever discard-data says: it is another process's
    // by then.
    void leave_content() { discards_ = false; }

    // Which parts may hold something other than zero, ascending, in multiples of 4 KiB. The rest is
    // certain to read as zero at the moment of asking. Never allocates a page of the guest. Where
    // nothing can be known the answer is the whole block.
    [[nodiscard]] Result<std::vector<ByteExtent>> data_extents() const;

    // Makes [offset, offset + length) read as zero, both multiples of 4 KiB, without allocating and
    // giving memory back where that is safe. Cheap where nothing is there. Any thread, disjoint
    // ranges.
    [[nodiscard]] Result<void> zero_range(std::uint64_t offset, std::uint64_t length) const;

    // Whether all of the memory is still there. Once lost it stays so until the object is made
    // anew. Any thread; may wait for the file system.
    [[nodiscard]] Result<void> check_intact() const;

private:
    friend class BackendMaker;
    MemoryBackend() = default;

    // data_extents() of a part; the part begins and ends with a page.
    [[nodiscard]] Result<std::vector<ByteExtent>> data_in(ByteExtent range) const;
    [[nodiscard]] Result<void> discard_private(std::uint64_t offset, std::uint64_t length) const;
    [[nodiscard]] Result<void> punch(std::uint64_t offset, std::uint64_t length) const;
    [[nodiscard]] Result<void> write_zeros(ByteExtent range) const;
    // The file for finding holes, which moves its position; invalid if that would show.
    [[nodiscard]] FdRef seek_fd() const { return passed_ ? own_position_.ref() : fd_.ref(); }

    BackendProperties properties_;
    std::string block_name_;
    MemoryKind kind_ = MemoryKind::Anonymous;
    bool shared_ = false;
    bool readonly_ = false;
    bool foreign_ = false;
    bool discards_ = false; // the file's content, at the end
    bool passed_ = false;   // fd_ is a duplicate of a client's descriptor and shares its position
    std::uint64_t page_bytes_ = 4096;
    UniqueFd fd_;
    UniqueFd own_position_; // of a passed descriptor: the same file, opened once more
    UniqueFd dirty_log_;
    MappedMemory mapping_;
    FaultWatch faults_; // after mapping_
};

} // namespace mfd
