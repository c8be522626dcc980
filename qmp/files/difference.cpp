#include "qmp/files/difference.hpp"

#include "qmp/files/page_buffer.hpp"
#include "qmp/files/page_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mfd::files {

namespace {

constexpr std::uint64_t kComparedPages = 128; // chosen: both pieces stay in a core's cache

class Comparison {
public:
    Comparison(const BlockOf& a, const BlockOf& b,
               const std::function<Result<void>(PageRun)>& visit)
        : a_(a), b_(b), visit_(visit), reader_a_(a.saved, a.block), reader_b_(b.saved, b.block) {}

    Result<void> run() {
        const std::uint64_t end = std::min(a_.block.layout.pages(), b_.block.layout.pages());
        std::uint64_t at = 0;
        while (at < end) {
            // Where neither has a page they are equal.
            const auto in_a = a_.block.bitmap.next_set_run(at, end);
            const auto in_b = b_.block.bitmap.next_set_run(at, end);
            at = std::min(in_a ? in_a->first : end, in_b ? in_b->first : end);
            const std::uint64_t count = std::min(end - at, kComparedPages);
            MFD_CHECK(compare({at, count}));
            at += count;
        }
        return flush();
    }

private:
    Result<void> compare(PageRun pages) {
        MFD_CHECK(reader_a_.read(PageIndex(pages.first), bytes_a_.first(pages.count)));
        MFD_CHECK(reader_b_.read(PageIndex(pages.first), bytes_b_.first(pages.count)));
        for (std::uint64_t i = 0; i < pages.count; ++i)
            if (std::memcmp(bytes_a_.page(i), bytes_b_.page(i), kPageSize) != 0)
                MFD_CHECK(add(pages.first + i));
        return {};
    }

    Result<void> add(std::uint64_t page) {
        if (run_.count != 0 && run_.end() == page) {
            ++run_.count;
            return {};
        }
        MFD_CHECK(flush());
        run_ = {page, 1};
        return {};
    }

    Result<void> flush() {
        const PageRun run = std::exchange(run_, {});
        return run.count == 0 ? Result<void>() : visit_(run);
    }

    const BlockOf& a_;
    const BlockOf& b_;
    const std::function<Result<void>(PageRun)>& visit_;
    PageReader reader_a_;
    PageReader reader_b_;
    const PageBuffer bytes_a_{kComparedPages};
    const PageBuffer bytes_b_{kComparedPages};
    PageRun run_;
};

} // namespace

Result<void> for_each_difference(const BlockOf& a, const BlockOf& b,
                                 const std::function<Result<void>(PageRun)>& visit) {
    return Comparison(a, b, visit).run();
}

} // namespace mfd::files
