#include "qmp/convert/in_place.hpp"

#include "channels/file_io.hpp"
#include "channels/zero_page.hpp"
#include "proto/text.hpp"
#include "proto/trailer_mark.hpp"
#include "qmp/convert/append_checksums.hpp"
#include "qmp/convert/saved_pages.hpp"
#include "qmp/convert/zero_slots.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mfd::convert {

namespace {

constexpr std::uint64_t kVmdescriptionHeadBytes = 5; // mark and length

class InPlace {
public:
    InPlace(std::string path, const InPlaceChanges& changes, Watcher& watcher)
        : path_(std::move(path)), changes_(changes), watcher_(watcher) {}

    Result<InPlaceResult> run() {
        MFD_CHECK(open());
        InPlaceResult result;
        result.allocated_before = saved_->file().allocated_bytes();
        const bool other_bits = changes_.zeros != ZeroPages::Keep;
        const bool had = saved_->trailer().has_value();
        MFD_CHECK(plan_bitmaps());
        if (changes_.checksums == Checksums::Off || (had && other_bits))
            MFD_CHECK(remove_checksums());
        if (changes_.zeros == ZeroPages::Store)
            MFD_CHECK(empty_clear_slots());
        if (other_bits)
            MFD_CHECK(write_bitmaps());
        if (changes_.punch_holes)
            MFD_CHECK(punch_clear_slots());
        const bool wanted = changes_.checksums == Checksums::On ||
                            (changes_.checksums == Checksums::AsBefore && had);
        if (wanted && (other_bits || !had))
            MFD_CHECK(add_checksums());
        result.checksums = wanted;
        return measured(result);
    }

private:
    Result<void> open() {
        file_ = UniqueFd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
        if (!file_.valid())
            return make_sys_error("open " + path_ + " for writing", errno);
        struct stat status {};
        if (::fstat(file_.get(), &status) != 0 || !S_ISREG(status.st_mode))
            return bad_argument(path_ + " is no regular file, so it cannot be changed in place");
        MFD_TRY(auto saved,
                files::SavedFile::open(path_, {changes_.offset, files::Damaged::Show,
                                               files::Checksums::Use, "--input-offset"}));
        saved_ = std::move(saved);
        const auto& problem = saved_->problem();
        const bool removes_only = changes_.checksums == Checksums::Off &&
                                  changes_.zeros == ZeroPages::Keep && saved_->stream_is_sound();
        if (problem && !removes_only)
            return with_context(path_, {problem->code,
                                        problem->what + (saved_->stream_is_sound()
                                                             ? "; '--checksums off' alone keeps "
                                                               "the stream without them"
                                                             : ""),
                                        problem->sys});
        return {};
    }

    // What the bitmaps will be. Reads and compares all stored pages if their bits change.
    Result<void> plan_bitmaps() {
        if (changes_.zeros == ZeroPages::Keep)
            return {};
        for (const DecodedBlock& block : saved_->blocks()) {
            bitmaps_.emplace_back(block.layout.pages());
            auto& bitmap = bitmaps_.back();
            std::ranges::copy(block.bitmap.bytes(), bitmap.mutable_bytes().begin());
        }
        MFD_CHECK(for_each_stored_run(
            *saved_, watcher_, "read",
            [this](std::size_t block, PageRun run, std::span<const std::byte> bytes) {
                drop_zeros(bitmaps_[block], run, bytes.data());
                return Result<void>();
            }));
        if (changes_.zeros == ZeroPages::Store)
            for (PageBitmap& bitmap : bitmaps_)
                bitmap.set_range({0, bitmap.pages()});
        return {};
    }

    static void drop_zeros(PageBitmap& bitmap, PageRun run, const std::byte* pages) {
        std::uint64_t at = 0;
        while (at < run.count) {
            at += count_data_pages(pages + at * kPageSize, run.count - at);
            const std::uint64_t zero =
                at < run.count ? count_zero_pages(pages + at * kPageSize, run.count - at) : 0;
            bitmap.clear_range({run.first + at, zero});
            at += zero;
        }
    }

    Result<void> remove_checksums() {
        const DecodedStream& stream = saved_->stream();
        const std::uint64_t size = saved_->file().size();
        const auto at = saved_->trailer() ? std::optional(saved_->trailer()->at) : std::nullopt;
        if (at) {
            constexpr std::array<std::byte, kTrailerUnit> kNothing{};
            const std::uint64_t bytes = std::min<std::uint64_t>(kTrailerUnit, size - at->value);
            MFD_CHECK(write_all_at(file_.ref(), std::span(kNothing).first(bytes), at->value));
            MFD_CHECK(sync());
        }
        if (const auto byte = trailer_switch(stream.vmdescription)) {
            constexpr std::array<char, 1> kOff{kNoTrailer};
            MFD_CHECK(
                write_all_at(file_.ref(), std::as_bytes(std::span(kOff)),
                             stream.vmdescription_offset->value + kVmdescriptionHeadBytes + *byte));
            MFD_CHECK(sync());
        }
        if (at && ::ftruncate(file_.get(), static_cast<off_t>(stream.end.value)) != 0)
            return make_sys_error("cut the checksums off " + path_, errno);
        return {};
    }

    // Calls `visit` for the slots of pages that are not stored and that are no holes.
    template <class Visit>
    Result<void> for_each_used_clear_slot(const PageBitmap& bitmap, const BlockLayout& layout,
                                          const Visit& visit) {
        std::uint64_t at = 0;
        while (const auto run = bitmap.next_clear_run(at, bitmap.pages())) {
            at = run->end();
            FileOffset from = layout.slot(PageIndex(run->first));
            const FileOffset to = layout.slot(PageIndex(run->end()));
            while (const auto data = saved_->file().next_data(from, to)) {
                // In whole slots: a file system's blocks may be of any size.
                const std::uint64_t first =
                    (data->from.value - layout.pages_offset.value) / kPageSize;
                const std::uint64_t end =
                    (data->to.value - layout.pages_offset.value + kPageSize - 1) / kPageSize;
                MFD_CHECK(visit(PageRun{first, end - first}));
                from = layout.slot(PageIndex(end));
                MFD_CHECK(watcher_.progress("holes", 0, 0));
            }
        }
        return {};
    }

    Result<void> empty_clear_slots() {
        for (const DecodedBlock& block : saved_->blocks())
            MFD_CHECK(for_each_used_clear_slot(block.bitmap, block.layout, [&](PageRun run) {
                return zero_slots(file_.ref(), block.layout, run);
            }));
        return sync();
    }

    Result<void> write_bitmaps() {
        for (std::size_t i = 0; i < bitmaps_.size(); ++i)
            MFD_CHECK(write_all_at(file_.ref(), bitmaps_[i].bytes(),
                                   saved_->blocks()[i].layout.bitmap_offset.value));
        return sync();
    }

    Result<void> punch_clear_slots() {
        for (std::size_t i = 0; i < saved_->blocks().size(); ++i) {
            const DecodedBlock& block = saved_->blocks()[i];
            const PageBitmap& bitmap = bitmaps_.empty() ? block.bitmap : bitmaps_[i];
            MFD_CHECK(
                for_each_used_clear_slot(bitmap, block.layout, [&](PageRun run) -> Result<void> {
                    const std::uint64_t at = block.layout.slot(PageIndex(run.first)).value;
                    if (const int sys = punch_hole(file_.ref(), at, run.count * kPageSize);
                        sys != 0)
                        return make_sys_error("punch a hole into " + path_ + " at " + hex(at), sys);
                    return {};
                }));
        }
        return sync();
    }

    Result<void> add_checksums() {
        // As it is by now.
        MFD_TRY(const auto saved, files::SavedFile::open(path_, {changes_.offset}));
        if (!saved.trailer() && saved.file().size() > saved.stream().end.value)
            return Error{Errc::Unsupported,
                         path_ + ": something else stands behind the stream, at " +
                             hex(saved.stream().end.value) +
                             ", where checksums would go; convert to another file instead",
                         ENOTSUP};
        MFD_CHECK(append_checksums(saved, file_.ref(), draw_trailer_id(), watcher_));
        return {};
    }

    Result<InPlaceResult> measured(InPlaceResult result) {
        MFD_CHECK(sync());
        for (std::size_t i = 0; i < saved_->blocks().size(); ++i) {
            const PageBitmap& bitmap = bitmaps_.empty() ? saved_->blocks()[i].bitmap : bitmaps_[i];
            result.stored_pages += bitmap.count();
            result.total_pages += bitmap.pages();
        }
        MFD_TRY(const auto now, files::InputFile::open(path_));
        result.file_bytes = now.size();
        result.allocated_after = now.allocated_bytes();
        return result;
    }

    Result<void> sync() {
        if (::fdatasync(file_.get()) != 0)
            return make_sys_error("bring " + path_ + " to stable storage", errno);
        return {};
    }

    std::string path_;
    const InPlaceChanges& changes_;
    Watcher& watcher_;
    UniqueFd file_;
    std::optional<files::SavedFile> saved_; // as it was before
    std::vector<PageBitmap> bitmaps_;       // as they will be; none if they stay
};

} // namespace

Result<InPlaceResult> convert_in_place(const std::string& path, const InPlaceChanges& changes,
                                       Watcher& watcher) {
    return InPlace(path, changes, watcher).run();
}

} // namespace mfd::convert
