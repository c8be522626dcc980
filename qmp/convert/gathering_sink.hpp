// Pages that come one by one, put together to runs again, so that they are tested for zeros and
// written many at a time.
#pragma once

#include "proto/ram_sink.hpp"
#include "qmp/files/page_buffer.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace mfd::convert {

// What becomes of pages that are all zero.
enum class ZeroPages : std::uint8_t {
    Keep,  // stored if they were stored
    Drop,  // none is stored, as after a save with zero page detection
    Store, // all are stored, as with zero-page-detection=none
};

class GatheringSink : public RamSink {
public:
    Result<void> pages(std::size_t block, PageRun run, std::span<const std::byte> bytes) final;
    Result<void> zero_pages(std::size_t block, PageRun run) final;

protected:
    explicit GatheringSink(ZeroPages zeros) : zeros_(zeros) {}

    // `bytes` is aligned to pages.
    virtual Result<void> write_run(std::size_t block, PageRun run,
                                   std::span<const std::byte> bytes) = 0;
    virtual Result<void> write_zeros(std::size_t block, PageRun run) = 0;
    // Hands on what has been gathered. Once more at the end.
    Result<void> flush();
    [[nodiscard]] ZeroPages zeros() const { return zeros_; }

private:
    static constexpr std::uint64_t kBufferPages = 256; // 1 MiB: QEMU's largest transfer as well

    ZeroPages zeros_;
    files::PageBuffer buffer_{kBufferPages};
    std::size_t block_ = 0;
    PageRun data_;  // in the buffer
    PageRun empty_; // or zero pages; never both
};

} // namespace mfd::convert
