// Puts page runs together into few large transfers. Runs are joined across short gaps by moving the
// gap along (one write of 1 MiB takes far less time than its data alone in hundreds of 4 KiB ones);
// what becomes too long is cut, and what direct I/O cannot do goes through the buffered descriptor.
// Belongs to one worker thread.
#pragma once

#include "channels/direct_alignment.hpp"
#include "channels/transfer_window.hpp"
#include "proto/checked.hpp"
#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace mfd {

// What stands at the memory's end of a page: the guest's page, or a stand-in for one that must not
// be touched (zeros when writing, a place to drop bytes when reading).
enum class PageSource : std::uint8_t { Guest, StandIn };

struct RunLimits {
    std::size_t transfer_bytes = 0;        // a multiple of the page size; less if the rate is low
    std::size_t bridge_bytes = 0;          // longest gap that is moved along
    std::optional<DirectAlignment> direct; // nothing: all goes through the buffered descriptor
    std::span<std::byte> stand_in;         // a multiple of the page size, aligned for direct I/O
};

struct RunTarget {
    TransferBlock block;
    std::byte* base = nullptr; // only read from when writing
};

class RunBuilder {
public:
    RunBuilder(TransferWindow& window, TransferOp op, RunLimits limits);

    // From here on pages belong to this block. Only after flush().
    void set_target(const RunTarget& target);

    // These pages have to be moved. Pages come in ascending order, add() and offer() mixed.
    Result<void> add(PageRun run, PageSource source, const std::stop_token& stop);
    // These pages may be moved along, if that joins two runs.
    Result<void> offer(PageRun run, PageSource source, const std::stop_token& stop);
    // Starts what has been put together. Needed at the end of each chunk.
    Result<void> flush(const std::stop_token& stop);

private:
    struct Piece {
        PageRun run;
        PageSource source;
    };
    Result<void> append(Piece piece, const std::stop_token& stop);
    void append_part(std::byte* base, std::uint64_t bytes);
    void begin_transfer(std::uint64_t page);
    [[nodiscard]] std::uint64_t file_offset(std::uint64_t page) const;
    Result<void> send(const std::stop_token& stop);
    Result<void> send_split(std::uint64_t first, std::uint64_t core_first, std::uint64_t core_last,
                            const std::stop_token& stop);

    TransferWindow& window_;
    TransferOp op_;
    RunLimits limits_;
    RunTarget target_;
    bool direct_ = false; // this block's memory is aligned well enough

    std::uint64_t largest_bytes_ = 0; // of the transfer being put together
    std::uint64_t begin_ = 0;         // pages [begin_, end_) are in window_.next_parts()
    std::uint64_t end_ = 0;
    std::vector<Piece> gap_; // offered pages from end_ on
    std::uint64_t gap_pages_ = 0;
    std::vector<iovec> rest_; // of a transfer that must be split
};

} // namespace mfd
