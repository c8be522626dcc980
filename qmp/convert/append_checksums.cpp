#include "qmp/convert/append_checksums.hpp"

#include "channels/file_io.hpp"
#include "proto/checksum.hpp"
#include "qmp/convert/saved_pages.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <random>
#include <span>

#include <unistd.h>

namespace mfd::convert {

namespace {

Result<void> sync_data(FdRef file) {
    if (::fdatasync(file.get()) != 0)
        return make_sys_error("bring the checksums to stable storage", errno);
    return {};
}

Result<void> set_length(FdRef file, std::uint64_t bytes) {
    if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
        return make_sys_error("give the file a length of " + std::to_string(bytes) + " bytes",
                              errno);
    return {};
}

// The tables, one unit of one table at a time, in the order of the pages.
class TableWriter {
public:
    TableWriter(FdRef file, const Trailer& trailer) : file_(file), trailer_(trailer) {}

    Result<void> add(std::size_t block, PageRun run, std::span<const std::byte> bytes) {
        while (run.count != 0) {
            const std::uint64_t unit = run.first / kChecksumsPerUnit;
            if (!place_ || block != block_ || unit != *place_) {
                MFD_CHECK(write());
                block_ = block;
                place_ = unit;
            }
            const std::uint64_t at = run.first % kChecksumsPerUnit;
            const std::uint64_t count = std::min(run.count, kChecksumsPerUnit - at);
            page_checksums(bytes.data(), count, &entries_.at(at));
            bytes = bytes.subspan(count * kPageSize);
            run = {run.first + count, run.count - count};
        }
        return {};
    }
    Result<void> write() {
        if (!place_)
            return {};
        const FileOffset at = trailer_.blocks[block_].table + *place_ * kTrailerUnit;
        auto written = write_all_at(file_, std::as_bytes(std::span(entries_)), at.value);
        entries_.fill(0);
        place_.reset();
        return written;
    }

private:
    FdRef file_;
    const Trailer& trailer_;
    std::array<std::uint32_t, kChecksumsPerUnit> entries_{};
    std::size_t block_ = 0;
    std::optional<std::uint64_t> place_; // of the unit in entries_
};

} // namespace

std::uint64_t draw_trailer_id() {
    std::random_device device;
    std::uniform_int_distribution<std::uint64_t> any;
    return any(device);
}

Result<FileOffset> append_checksums(const files::SavedFile& saved, FdRef file, std::uint64_t id,
                                    Watcher& watcher) {
    const DecodedStream& stream = saved.stream();
    StreamPlan plan;
    plan.stream_offset = stream.stream_offset;
    for (const DecodedBlock& block : stream.blocks)
        plan.blocks.push_back(block.layout);
    MFD_TRY(Trailer trailer, plan_trailer(plan, stream.end, id));
    MFD_CHECK(set_length(file, stream.end.value));
    MFD_CHECK(set_length(file, trailer.end.value));

    TableWriter tables(file, trailer);
    MFD_CHECK(
        for_each_stored_run(saved, watcher, "checksums",
                            [&](std::size_t block, PageRun run, std::span<const std::byte> bytes) {
                                return tables.add(block, run, bytes);
                            }));
    MFD_CHECK(tables.write());
    MFD_TRY(files::InputFile source, files::InputFile::open(saved.file().path()));
    MFD_CHECK(sum_metadata(source, stream, trailer));
    MFD_CHECK(sync_data(file));
    const Fragment head = encode_trailer(trailer);
    MFD_CHECK(write_all_at(file, head.bytes, head.at.value));
    MFD_CHECK(sync_data(file));
    return trailer.end;
}

} // namespace mfd::convert
