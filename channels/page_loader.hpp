// Reads the pages of RAM blocks from their slots straight into memory: N workers, each with several
// large reads in flight. A page whose bit is clear is zero afterwards, whatever its slot or the
// memory held before.
//
// Made and called by the job thread. The caller has checked the bitmaps and offsets against the
// file (every set bit's slot lies inside it); a file that shrinks meanwhile is an error here.
#pragma once

#include "channels/counters.hpp"
#include "channels/io_engine.hpp"
#include "channels/migration_file.hpp"
#include "channels/numa.hpp"
#include "channels/rate_limiter.hpp"
#include "channels/worker_pool.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace mfd {

struct LoadBlock {
    std::string name;          // for error texts
    std::byte* base = nullptr; // aligned to a page
    std::uint64_t length_bytes = 0;
    std::uint64_t pages_offset = 0; // in the file; a multiple of the page size
    const PageBitmap* present = nullptr;
    // Makes a run of pages zero, called on the workers, several at a time for disjoint runs (punch
    // a hole, say). Without it pages are tested and those that are not zero overwritten.
    std::function<Result<void>(PageRun)> zero{};
    // Where in the file the checksums of the pages stand, page by page; a page that does not match
    // its own ends the load. Nothing: they are not looked at.
    std::optional<std::uint64_t> checksums_offset{};
};

struct LoadOptions {
    unsigned channels = 2;
    EngineKind engine = EngineKind::Auto;
    // Measured on a 2-core machine, ext4 on a virtual disk, 512 MiB of data: wall time is the
    // same from 1 MiB on, CPU time falls from 0.06 s at 1 MiB to 0.04 s at 4 MiB.
    std::size_t transfer_bytes = std::size_t{4} << 20; // largest read
    std::size_t bridge_bytes = std::size_t{32} << 10;  // longest gap read along and dropped
    std::size_t depth = 4;                             // reads in flight per channel
    std::string thread_prefix = "mig/dst/recv_";
    RateLimiter* limiter = nullptr; // not owned; nullptr: none
    std::string numa_folder = kNumaFolder;
    EngineFactory make_engine = mfd::make_engine;
};

class PageLoader {
public:
    static Result<std::unique_ptr<PageLoader>> start(const MigrationFile& file, LoadOptions options,
                                                     Counters& counters);
    ~PageLoader();
    PageLoader(const PageLoader&) = delete;
    PageLoader& operator=(const PageLoader&) = delete;

    // Reads and zeroes everything once; returns when every read has ended. After an error or a
    // cancel (Errc::Cancelled) the memory holds a mixture.
    Result<void> load(std::span<const LoadBlock> blocks, const std::stop_token& stop);

    [[nodiscard]] std::vector<ThreadInfo> threads() const;

private:
    struct State;
    class LoadWorker;
    explicit PageLoader(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
    std::unique_ptr<WorkerPool> pool_; // last: its workers use the state
};

} // namespace mfd
