// One migration file behind up to two descriptors: metadata goes through the buffered one, pages
// through the direct one (O_DIRECT) if there is one. Nothing else knows that there are two.
//
// Opening takes two steps, since descriptor sets belong to the control thread, which must not block
// on a file system: resolve_target() there, open_save()/open_load() on the job thread.
// A MigrationFile belongs to the job thread; workers use its descriptors, positional calls only.
// Descriptors may share flags and position with a client's: neither is ever changed (apart from
// what FdSets::open says), and a stream begins where the position stands.
#pragma once

#include "channels/direct_alignment.hpp"
#include "channels/fdset.hpp"
#include "channels/unique_fd.hpp"
#include "channels/unnamed_file.hpp"
#include "proto/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

namespace mfd {

enum class FileUse : std::uint8_t { Save, Load };
enum class PageIo : std::uint8_t { Buffered, Direct };
// What a save does with the blocks that an existing file has on the disk.
enum class OldBlocks : std::uint8_t {
    Free,  // gives them back, as QEMU does
    Reuse, // writes into them, which spares the file system most of its work
};

// When a save's new file can be found under its name.
enum class Appears : std::uint8_t {
    WhenComplete,
    AtOnce, // as with QEMU
};

// What complete() has to wait for.
enum class Durability : std::uint8_t { PageCache, Durable };

// Which file, before it is opened. Movable to the job thread.
struct FileTarget {
    std::string name; // as the client spelled it; error texts quote it
    std::uint64_t offset = 0;
    PageIo page_io = PageIo::Buffered;
    std::optional<SetDup> buffered; // both only for /dev/fdset/N; direct only with PageIo::Direct
    std::optional<SetDup> direct;
    OldBlocks old_blocks = OldBlocks::Free;  // of a save
    Appears appears = Appears::WhenComplete; // a path that a save creates
    Durability durability = Durability::Durable;
};

// Takes duplicates if `name` is a set, otherwise only notes the name. Never blocks. QEMU's texts.
Result<FileTarget> resolve_target(FdSets& sets, std::string name, std::uint64_t offset, FileUse use,
                                  PageIo page_io);

class MigrationFile {
public:
    // Creates the file if need be and cuts (or extends) it to the offset, unless its blocks are to
    // be used again: then reserve() decides what stays. A stream that is cut off is destroyed for
    // good before: of it and the new one a power cut never leaves a mixture that looks like either.
    // Texts as in QEMU.
    static Result<MigrationFile> open_save(FileTarget target);
    static Result<MigrationFile> open_load(FileTarget target);

    [[nodiscard]] const std::string& name() const { return name_; }
    // Where the stream begins: the given offset or, if that is 0, the descriptor's position.
    [[nodiscard]] std::uint64_t stream_offset() const { return stream_offset_; }

    // For a save, once, before anything is written: gives the file its length up to `end`, where
    // the closing sections will stand, so that no later write has to extend it; ext4, for one, lets
    // such writes in one by one. What stood behind `end` is gone. A stream that stood in a file
    // whose blocks are reused is destroyed for good on return, before the first of its pages is.
    Result<void> reserve(std::uint64_t end);
    // Takes the disk space for all up to `end` that the file does not have yet, unless the file
    // system says beforehand that it has not that much: taking what it has would be in others' way.
    Result<void> preallocate(std::uint64_t end);
    // For a save: what stands last may be a hole, which no write gives the file its length for.
    Result<void> extend(std::uint64_t end);
    // Does the file still have the length that the two gave it? Who shortened it has taken pages
    // that later writes may not bring back.
    Result<void> check_length() const;

    // For a save, once: the beginning of the stream, at least kStartBytes, of which the first
    // kStartBytes are kept back for complete(). Without them nothing takes the file for a stream.
    static constexpr std::size_t kStartBytes = 8; // magic number and version
    Result<void> write_start(std::span<const std::byte> data);
    Result<void> write_meta(std::span<const std::byte> data, std::uint64_t offset);
    Result<void> read_meta(std::span<std::byte> data, std::uint64_t offset) const;
    // Fewer bytes than asked for only at the end of the file.
    Result<std::size_t> read_meta_up_to(std::span<std::byte> data, std::uint64_t offset) const;
    // Bytes of the file now (a block device: of the device).
    Result<std::uint64_t> size_bytes() const;

    [[nodiscard]] FdRef buffered_fd() const { return buffered_; }
    [[nodiscard]] FdRef direct_fd() const { return direct_; } // not valid() without direct I/O
    [[nodiscard]] const DirectAlignment& alignment() const { return alignment_; }

    // Brings what the page cache holds of the file to the device (without direct I/O all, with it
    // the metadata), in steps between which `stop` is looked at, so that sync() has little left to
    // wait for. May run beside writes.
    Result<void> write_back(const std::stop_token& stop) const;
    // The end of a save: writes the stream's first bytes, gives a new file its name and closes.
    // With Durable all other data are on stable storage before those bytes are written, and so are
    // they, and the entry of a new file in its folder, on return. Errc::Cancelled if `stop` was
    // requested before they were written; refused if the file is shorter by now (check_length()).
    Result<void> complete(const std::stop_token& stop);
    // Closes all descriptors and reports what close(2) has to say. The destructor closes silently.
    Result<void> finish();

private:
    struct Handle { // a descriptor of ours, or a set's duplicate
        UniqueFd own;
        std::optional<SetDup> dup;
        [[nodiscard]] FdRef ref() const { return dup ? dup->ref() : own.ref(); }
    };
    explicit MigrationFile(std::string name) : name_(std::move(name)) {}
    Result<void> adopt(FileTarget target, FileUse use);
    Result<void> open_by_path(const FileTarget& target, FileUse use);
    Result<void> find_stream(std::uint64_t offset);
    Result<void> destroy_old_stream();
    Result<void> finish_start();
    Result<void> sync();
    Result<void> sync_if_durable();

    std::string name_;
    std::optional<UnnamedFile> unnamed_; // instead of the next one
    Handle buffered_handle_;
    Handle direct_handle_;
    FdRef buffered_;
    FdRef direct_;
    DirectAlignment alignment_;
    std::uint64_t stream_offset_ = 0;
    std::uint64_t given_length_ = 0; // by extend()
    Durability durability_ = Durability::Durable;
    std::optional<std::array<std::byte, kStartBytes>> start_; // kept back
    bool created_ = false;                                    // by path; its folder has a new entry
    bool has_old_stream_ = false;
};

} // namespace mfd
