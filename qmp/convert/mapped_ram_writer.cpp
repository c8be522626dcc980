#include "qmp/convert/mapped_ram_writer.hpp"

#include "channels/file_io.hpp"
#include "proto/device_state.hpp"
#include "proto/text.hpp"
#include "proto/trailer_mark.hpp"
#include "qmp/convert/zero_slots.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

#include <unistd.h>

namespace mfd::convert {

namespace {

constexpr std::string_view kMappedRam = "mapped-ram";

Configuration with_mapped_ram(Configuration configuration) {
    auto& names = configuration.capabilities;
    if (std::find(names.begin(), names.end(), kMappedRam) == names.end())
        names.emplace_back(kMappedRam);
    return configuration;
}

} // namespace

Result<void> MappedRamWriter::begin(const GuestHead& head) {
    read_ = head.configuration;
    MFD_TRY(plan_, plan_stream(offset_, with_mapped_ram(head.configuration), head.blocks,
                               BlockOrder::AsGiven));
    for (const BlockLayout& layout : plan_.blocks) {
        pages_.push_back({PageBitmap(layout.pages()), PageBitmap(layout.pages())});
        if (zeros() == ZeroPages::Store)
            pages_.back().present.set_range({0, layout.pages()});
    }
    if (::ftruncate(file_.get(), static_cast<off_t>(plan_.head_end.value)) != 0)
        return make_sys_error(
            "give the file a length of " + std::to_string(plan_.head_end.value) + " bytes", errno);
    for (const Fragment& fragment : encode_head(plan_))
        MFD_CHECK(write(fragment));
    return {};
}

Result<void> MappedRamWriter::write(const Fragment& fragment) {
    return write_all_at(file_, fragment.bytes, fragment.at.value);
}

Result<void> MappedRamWriter::write_run(std::size_t block, PageRun run,
                                        std::span<const std::byte> bytes) {
    const BlockLayout& layout = plan_.blocks[block];
    auto written = write_all_at(file_, bytes, layout.slot(PageIndex(run.first)).value);
    if (!written.has_value())
        return with_context("pages of block " + printable(layout.idstr),
                            std::move(written).error());
    pages_[block].present.set_range(run);
    pages_[block].written.set_range(run);
    return {};
}

Result<void> MappedRamWriter::write_zeros(std::size_t block, PageRun run) {
    if (zeros() == ZeroPages::Store)
        return empty_slots(block, run);
    // What the slots hold means nothing from now on; finish() gives it back.
    pages_[block].present.clear_range(run);
    return {};
}

// Makes slots that were written read as zeros.
Result<void> MappedRamWriter::empty_slots(std::size_t block, PageRun run) {
    Pages& pages = pages_[block];
    std::uint64_t at = run.first;
    while (const auto used = pages.written.next_set_run(at, run.end())) {
        MFD_CHECK(zero_slots(file_, plan_.blocks[block], *used));
        pages.written.clear_range(*used);
        at = used->end();
    }
    return {};
}

Result<void> MappedRamWriter::finish(const GuestTail& tail) {
    MFD_CHECK(flush());
    for (std::size_t i = 0; i < pages_.size(); ++i) {
        // Nobody needs what a page was before it became zero.
        const PageBitmap& present = pages_[i].present;
        std::uint64_t at = 0;
        while (const auto absent = present.next_clear_run(at, present.pages())) {
            MFD_CHECK(empty_slots(i, *absent));
            at = absent->end();
        }
        MFD_CHECK(write_all_at(file_, present.bytes(), plan_.blocks[i].bitmap_offset.value));
    }
    MFD_TRY(const auto early, encode_devices(plan_.head_end, tail.early_devices));
    MFD_CHECK(write(early));
    const Fragment part = encode_part(early.end());
    MFD_CHECK(write(part));
    std::string text =
        with_configuration(without_trailer_id(tail.vmdescription), read_, plan_.configuration);
    if (trailer_)
        text = with_trailer_id(text, *trailer_);
    MFD_TRY(const auto closing,
            encode_tail(part.end(), {tail.switchover_start, tail.devices, std::move(text)}));
    return write(closing);
}

std::uint64_t MappedRamWriter::stored_pages() const {
    std::uint64_t count = 0;
    for (const Pages& pages : pages_)
        count += pages.present.count();
    return count;
}

} // namespace mfd::convert
