// Starts full-length transfers and reaps them: short counts, EINTR and EAGAIN end inside an engine.
// One engine per worker, made, used and destroyed on the worker's own thread, never shared. This is
// also the seam where tests put engines that fail, lag or record.
#pragma once

#include "channels/file_io.hpp"
#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <sys/uio.h>

namespace mfd {

class PageCacheWriter;

// Index into EngineSetup::files.
inline constexpr unsigned kBufferedFile = 0;
inline constexpr unsigned kDirectFile = 1;

struct Transfer {
    TransferOp op = TransferOp::Write;
    unsigned file = 0; // index into EngineSetup::files
    std::uint64_t offset = 0;
    std::span<iovec> parts; // 1..IOV_MAX; the engine's to change until the transfer is reaped
    std::uint64_t tag = 0;  // comes back with the completion
};

struct Completion {
    std::uint64_t tag = 0;
    std::uint64_t bytes = 0; // all of them if sys is 0
    int sys = 0;             // errno; kEndOfFile where a read met the end of the file
};

// No errno has this value.
inline constexpr int kEndOfFile = -1;
// "No space left on device", "end of file".
std::string completion_text(int sys);

class IoEngine {
public:
    IoEngine() = default;
    IoEngine(const IoEngine&) = delete;
    IoEngine& operator=(const IoEngine&) = delete;
    virtual ~IoEngine() = default; // waits for what is in flight

    // Transfers that may be in flight together, at least 1.
    [[nodiscard]] virtual std::size_t depth() const = 0;
    [[nodiscard]] virtual std::size_t in_flight() const = 0;
    // Only while in_flight() < depth(). Failures of the transfer itself come with its completion.
    virtual void start(const Transfer& transfer) = 0;
    // Blocks for one completion, in any order. Only while in_flight() > 0. An Error means that the
    // engine itself broke; it must not be used any further.
    virtual Result<Completion> reap() = 0;
};

enum class EngineKind : std::uint8_t { Auto, Uring, Pwritev };

struct EngineSetup {
    EngineKind kind = EngineKind::Auto;
    std::vector<FdRef> files; // stay open for as long as the engine lives
    std::size_t depth = 8;
    bool direct = false; // transfers will mostly be O_DIRECT: what Auto decides by
    // Does the pwritev engine's writes to files[kBufferedFile]; not owned; nullptr: they are plain.
    PageCacheWriter* page_cache = nullptr;
};

// Called on the worker's thread.
using EngineFactory = std::function<Result<std::unique_ptr<IoEngine>>(const EngineSetup&)>;

// The engines built in. Auto never fails for want of io_uring.
Result<std::unique_ptr<IoEngine>> make_engine(const EngineSetup& setup);

struct EngineProbe {
    bool uring = false;
    std::string uring_reason; // why not, or which features are used; one line for the log
};
EngineProbe probe_engines();

} // namespace mfd
