#include "qmp/ctl/map_picture.hpp"

#include "channels/file_io.hpp"
#include "proto/text.hpp"
#include "qmp/files/page_state.hpp"
#include "qmp/map/block_kinds.hpp"
#include "qmp/map/html_writer.hpp"
#include "qmp/map/writers.hpp"
#include "qmp/units.hpp"

#include <string_view>

namespace mfd::ctl {

namespace {

enum class PictureFormat : std::uint8_t { Svg, Png, Html };

Result<PictureFormat> format_of(std::string_view path) {
    if (path.ends_with(".svg"))
        return PictureFormat::Svg;
    if (path.ends_with(".png"))
        return PictureFormat::Png;
    if (path.ends_with(".html"))
        return PictureFormat::Html;
    return bad_argument(printable_path(path) +
                        ": what shall it be? Let the name end with .svg, .png "
                        "or .html");
}

std::vector<map::BlockSize> sizes_of(const MapSubject& subject) {
    std::vector<map::BlockSize> out;
    for (const DecodedBlock* const block : subject.blocks)
        out.push_back({printable(block->layout.idstr), block->layout.pages()});
    return out;
}

// Counts pages by kind and by cell.
template <class Panels>
Result<std::vector<map::CellCounter>> count_cells(MapSubject& subject, const Panels& panels) {
    std::vector<map::CellCounter> out;
    subject.facts.blocks.clear();
    for (std::size_t i = 0; i < subject.blocks.size(); ++i) {
        map::CellCounter& cells = out.emplace_back(panels[i].grid);
        map::KindCounts& counts = subject.facts.blocks.emplace_back();
        MFD_CHECK(map::for_each_kind(subject.saved, *subject.blocks[i], subject.other,
                                     [&](const map::KindRun& run) -> Result<void> {
                                         cells.add(run);
                                         counts.add(run.kind, run.pages.count);
                                         return {};
                                     }));
    }
    return out;
}

// Nothing where the file does not tell.
std::vector<files::GuestRange> addresses_of(const MapSubject& subject, const DecodedBlock& block) {
    std::vector<files::GuestRange> out;
    const auto ranges =
        files::guest_map(subject.saved.stream().configuration.machine, subject.saved.blocks(), {});
    if (!ranges)
        return out;
    for (const files::GuestRange& range : *ranges)
        if (range.known && &subject.saved.blocks()[range.block] == &block)
            out.push_back(range);
    return out;
}

Result<std::string> html(MapSubject& subject) {
    std::vector<map::HtmlBlock> blocks;
    subject.facts.blocks.clear();
    for (const DecodedBlock* const block : subject.blocks) {
        map::HtmlBlock& out = blocks.emplace_back();
        out.name = printable(block->layout.idstr);
        out.pages = block->layout.pages();
        out.slots = block->layout.pages_offset.value;
        out.addresses = addresses_of(subject, *block);
        MFD_CHECK(map::for_each_kind(subject.saved, *block, subject.other,
                                     [&](const map::KindRun& run) -> Result<void> {
                                         out.counts.add(run.kind, run.pages.count);
                                         return out.runs.add(run);
                                     }));
        subject.facts.blocks.push_back(out.counts);
    }
    return map::write_html(subject.facts, blocks);
}

Result<std::string> picture_bytes(MapSubject& subject, PictureFormat format, std::uint32_t width) {
    if (format == PictureFormat::Html)
        return html(subject);
    const auto plan = map::plan_panels(sizes_of(subject), width);
    MFD_TRY(const auto cells, count_cells(subject, plan.panels));
    const auto picture = map::draw_picture(plan, subject.facts, cells);
    if (format == PictureFormat::Svg)
        return map::write_svg(picture);
    return map::write_png(picture);
}

} // namespace

Result<void> choose_blocks(MapSubject& subject, std::span<const std::string> names) {
    for (const std::string& name : names) {
        MFD_TRY(const DecodedBlock* const block, subject.saved.require_block(name));
        subject.blocks.push_back(block);
    }
    if (names.empty())
        for (const DecodedBlock& block : subject.saved.blocks())
            subject.blocks.push_back(&block);
    std::erase_if(subject.blocks,
                  [](const DecodedBlock* block) { return !files::has_bitmap(*block); });
    return {};
}

Result<void> map_into_file(MapSubject& subject, const std::string& path, std::uint32_t width,
                           Existing existing) {
    MFD_TRY(const PictureFormat format, format_of(path));
    // Before the work: a name that is taken is known now.
    MFD_TRY(auto out, files::OutputFile::create(path, existing));
    MFD_TRY(const auto bytes, picture_bytes(subject, format, width));
    auto written = write_all_at(out.fd(), std::as_bytes(std::span(bytes)), 0);
    if (!written)
        return with_context("write " + path, std::move(written).error());
    return out.complete();
}

Result<std::string> map_for_terminal(MapSubject& subject, map::TerminalSize size,
                                     map::Paint paint) {
    const auto plan = map::plan_terminal(sizes_of(subject), size, paint);
    MFD_TRY(const auto cells, count_cells(subject, plan.panels));
    return map::write_terminal(plan, subject.facts, cells);
}

std::string map_totals_text(const map::Facts& facts) {
    const map::KindCounts totals = facts.totals();
    std::string text;
    for (const map::Kind kind :
         {map::Kind::Stored, map::Kind::Zero, map::Kind::Stale, map::Kind::Differs})
        if (kind != map::Kind::Differs || !facts.against.empty())
            text += (text.empty() ? "" : ", ") + format_count(totals[kind]) + " " +
                    map::kind_name(kind);
    return text;
}

} // namespace mfd::ctl
