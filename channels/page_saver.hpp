// Writes the pages of RAM blocks into their slots: N workers, each with several large writes in
// flight, without copying a page. Their checksums are computed on the way. Zero pages are left out
// and their bits cleared; where an earlier pass stored one, its slot's blocks are given back to the
// file system.
//
// Made and called by the job thread. Pages may change while they are read (a live save): whoever
// tracks dirty pages says so, and the next pass writes them again. A pass ends with a drain, so two
// writes to one slot are never in flight together.
#pragma once

#include "channels/counters.hpp"
#include "channels/hole_puncher.hpp"
#include "channels/io_engine.hpp"
#include "channels/migration_file.hpp"
#include "channels/numa.hpp"
#include "channels/page_cache_writer.hpp"
#include "channels/rate_limiter.hpp"
#include "channels/worker_pool.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace mfd {

enum class ZeroPageDetection : std::uint8_t { None, Legacy, Multifd }; // the last two are one here

struct SaveBlock {
    std::string name;                // for error texts
    const std::byte* base = nullptr; // aligned to a page
    std::uint64_t length_bytes = 0;  // a multiple of the page size
    std::uint64_t pages_offset = 0;  // in the file; a multiple of the page size
    PageBitmap* present = nullptr;   // set for every page stored, cleared for every one found zero
    // Pages that may hold data, ascending and apart; what lies between is known to be zero and is
    // never touched. Nothing: all may.
    std::optional<std::vector<PageRun>> data{};
    const PageBitmap* dirty = nullptr; // pages of this pass; nullptr: all
    // Where the checksum of every page stored goes, indexed by page; nullptr: none is wanted.
    std::uint32_t* checksums = nullptr;
};

struct SaveOptions {
    unsigned channels = 2;
    EngineKind engine = EngineKind::Auto;
    ZeroPageDetection zero_page_detection = ZeroPageDetection::Multifd;
    // Measured on a 2-core machine, ext4 on a virtual disk, 512 MiB of data: wall time is the
    // same from 1 MiB on, CPU time falls from 0.06 s at 1 MiB to 0.04 s at 4 MiB.
    std::size_t transfer_bytes = std::size_t{4} << 20; // largest write
    std::size_t bridge_bytes = std::size_t{32} << 10;  // longest gap written along
    // Writes in flight per channel. Many short runs need more than long ones: 16 against 4 takes a
    // tenth off the time of 2 GiB with 30 % data in short runs, and costs nothing elsewhere.
    std::size_t depth = 16;
    std::string thread_prefix = "mig/src/send_";
    RateLimiter* limiter = nullptr;          // not owned; nullptr: none
    WriteBack write_back = WriteBack::Later; // of what goes through the page cache
    std::string numa_folder = kNumaFolder;
    EngineFactory make_engine = mfd::make_engine;
    HolePuncher::Punch punch_hole = mfd::punch_hole; // empty: slots keep their blocks
    unsigned punch_percent = 10;                     // of a pass's time, at most
};

class PageSaver {
public:
    // Starts the workers. `file` and `counters` (with at least options.channels channels) outlive
    // the saver.
    static Result<std::unique_ptr<PageSaver>> start(const MigrationFile& file, SaveOptions options,
                                                    Counters& counters);
    ~PageSaver();
    PageSaver(const PageSaver&) = delete;
    PageSaver& operator=(const PageSaver&) = delete;

    // One walk over the blocks; returns when every write has ended. After an error or a cancel
    // (Errc::Cancelled) bits and slots of this pass mean nothing, and further passes are allowed.
    Result<void> pass(std::span<const SaveBlock> blocks, const std::stop_token& stop);

    // Why blocks of slots are no longer given back: an errno; 0: they are, or nobody asked for it.
    [[nodiscard]] int punch_refusal() const;

    [[nodiscard]] std::vector<ThreadInfo> threads() const;

private:
    struct State;
    class SaveWorker;
    explicit PageSaver(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
    std::unique_ptr<WorkerPool> pool_; // last: its workers use the state
};

} // namespace mfd
