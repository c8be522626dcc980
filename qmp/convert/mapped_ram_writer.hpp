// Writes a mapped-ram stream to a new file: head, pages at their places as they come, and at the
// end bitmaps and closing sections. One thread; the file is borrowed.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/plan.hpp"
#include "qmp/convert/gathering_sink.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace mfd::convert {

class MappedRamWriter final : public GatheringSink {
public:
    // The stream begins at `offset` of the file. `trailer`: the number of the checksums that will
    // stand behind it, which the stream then names.
    MappedRamWriter(FdRef file, FileOffset offset, ZeroPages zeros,
                    std::optional<std::uint64_t> trailer)
        : GatheringSink(zeros), file_(file), offset_(offset), trailer_(trailer) {}

    Result<void> begin(const GuestHead& head) override;
    // The file is complete after that.
    Result<void> finish(const GuestTail& tail);

    // After finish().
    [[nodiscard]] std::uint64_t stored_pages() const;

private:
    Result<void> write_run(std::size_t block, PageRun run,
                           std::span<const std::byte> bytes) override;
    Result<void> write_zeros(std::size_t block, PageRun run) override;
    Result<void> write(const Fragment& fragment);
    Result<void> empty_slots(std::size_t block, PageRun run);

    struct Pages {
        PageBitmap present;
        PageBitmap written; // slots with anything in them
    };
    FdRef file_;
    FileOffset offset_;
    std::optional<std::uint64_t> trailer_;
    Configuration read_; // of the stream that is read
    StreamPlan plan_;
    std::vector<Pages> pages_; // of each block
};

} // namespace mfd::convert
