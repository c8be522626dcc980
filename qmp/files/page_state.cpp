#include "qmp/files/page_state.hpp"

#include "channels/zero_page.hpp"
#include "qmp/files/page_buffer.hpp"

#include <algorithm>
#include <utility>

namespace mfd::files {

namespace {

constexpr std::uint64_t kPiecePages = 256; // chosen: 1 MiB a read

// Joins neighbours of one state before they are visited.
class RunJoiner {
public:
    explicit RunJoiner(const std::function<Result<void>(const StateRun&)>& visit) : visit_(visit) {}

    Result<void> add(PageState state, std::uint64_t first, std::uint64_t end) {
        if (first == end)
            return {};
        if (run_.pages.count != 0 && run_.state == state) {
            run_.pages.count += end - first;
            return {};
        }
        MFD_CHECK(flush());
        run_ = {state, {first, end - first}};
        return {};
    }
    Result<void> flush() {
        const StateRun run = std::exchange(run_, {});
        return run.pages.count == 0 ? Result<void>() : visit_(run);
    }

private:
    const std::function<Result<void>(const StateRun&)>& visit_;
    StateRun run_;
};

class Walk {
public:
    Walk(const SavedFile& saved, const DecodedBlock& block, RunJoiner& runs)
        : saved_(saved), block_(block), runs_(runs) {}

    Result<void> pages(PageRun within) {
        for (std::uint64_t at = within.first; at < within.end();) {
            const auto stored = block_.bitmap.next_set_run(at, within.end());
            const std::uint64_t clear_end = stored ? stored->first : within.end();
            MFD_CHECK(clear_pages(at, clear_end));
            if (stored)
                MFD_CHECK(runs_.add(PageState::Stored, stored->first, stored->end()));
            at = stored ? stored->end() : within.end();
        }
        return runs_.flush();
    }

private:
    // The file's data that begins at or before the end of slot `page`, if it ends behind its start.
    // Asked of the file system once for each part, as runs come in ascending order.
    [[nodiscard]] std::optional<FileRange> data_from(std::uint64_t page) {
        const FileOffset from = block_.layout.slot(PageIndex(page));
        if (!known_ || (data_ && data_->to <= from)) {
            data_ = saved_.file().next_data(from, block_.layout.slots_end());
            known_ = true;
        }
        return data_;
    }

    // The first page whose slot is not before `at`.
    [[nodiscard]] std::uint64_t page_at(FileOffset at, std::uint64_t rounding) const {
        const std::uint64_t start = block_.layout.pages_offset.value;
        return at.value <= start ? 0 : (at.value - start + rounding) / kPageSize;
    }

    Result<void> clear_pages(std::uint64_t first, std::uint64_t end) {
        while (first < end) {
            const auto data = data_from(first);
            const std::uint64_t from = data ? std::clamp(page_at(data->from, 0), first, end) : end;
            MFD_CHECK(runs_.add(PageState::Zero, first, from));
            const std::uint64_t to =
                data ? std::clamp(page_at(data->to, kPageSize - 1), from, end) : end;
            MFD_CHECK(allocated_pages(from, to));
            first = to;
        }
        return {};
    }

    // Pages with a clear bit whose slots are no holes.
    Result<void> allocated_pages(std::uint64_t first, std::uint64_t end) {
        for (std::uint64_t at = first; at < end;) {
            const std::uint64_t count = std::min(end - at, buffer_.pages());
            MFD_CHECK(read_inside(PageIndex(at), buffer_.first(count)));
            for (std::uint64_t done = 0; done < count;) {
                const std::uint64_t zero = count_zero_pages(buffer_.page(done), count - done);
                MFD_CHECK(runs_.add(PageState::Zero, at + done, at + done + zero));
                done += zero;
                const std::uint64_t data = count_data_pages(buffer_.page(done), count - done);
                MFD_CHECK(runs_.add(PageState::Stale, at + done, at + done + data));
                done += data;
            }
            at += count;
        }
        return {};
    }

    // The file may end in the last of the slots.
    Result<void> read_inside(PageIndex first, std::span<std::byte> into) const {
        const std::uint64_t at = block_.layout.slot(first).value;
        const std::uint64_t size = saved_.file().size();
        const std::uint64_t there = std::min<std::uint64_t>(into.size(), size - std::min(at, size));
        std::ranges::fill(into.subspan(there), std::byte{0});
        return saved_.read_slots(block_, first, into.first(there));
    }

    const SavedFile& saved_;
    const DecodedBlock& block_;
    RunJoiner& runs_;
    PageBuffer buffer_{kPiecePages};
    std::optional<FileRange> data_;
    bool known_ = false;
};

} // namespace

const char* page_state_name(PageState state) {
    switch (state) {
    case PageState::Stored:
        return "stored";
    case PageState::Zero:
        return "zero";
    case PageState::Stale:
        return "stale";
    }
    return "";
}

Result<void> for_each_run(const SavedFile& saved, const DecodedBlock& block,
                          const std::function<Result<void>(const StateRun&)>& visit,
                          std::optional<PageRun> within) {
    if (!has_bitmap(block))
        return {};
    RunJoiner runs(visit);
    Walk walk(saved, block, runs);
    return walk.pages(within.value_or(PageRun{0, block.layout.pages()}));
}

void PageCounts::add(const StateRun& run) {
    switch (run.state) {
    case PageState::Stored:
        stored += run.pages.count;
        break;
    case PageState::Zero:
        zero += run.pages.count;
        break;
    case PageState::Stale:
        stale += run.pages.count;
        break;
    }
}

PageCounts& PageCounts::operator+=(const PageCounts& other) {
    stored += other.stored;
    zero += other.zero;
    stale += other.stale;
    return *this;
}

Result<PageCounts> count_pages(const SavedFile& saved, const DecodedBlock& block) {
    PageCounts counts;
    MFD_CHECK(for_each_run(saved, block, [&](const StateRun& run) -> Result<void> {
        counts.add(run);
        return {};
    }));
    return counts;
}

} // namespace mfd::files
