// multifdctl inspect: what a saved file holds.
#include "proto/device_state.hpp"
#include "proto/text.hpp"
#include "qmp/ctl/file_command.hpp"
#include "qmp/ctl/inspection_json.hpp"
#include "qmp/units.hpp"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>
#include <vector>

namespace mfd::ctl {

namespace {

using files::BlockSurvey;
using files::PageCounts;
using files::SavedFile;

struct InspectOptions {
    std::string file;
    std::optional<std::uint64_t> offset;
    bool json = false;
    bool runs = false;
    bool deep = false;
};

std::string labelled(std::string_view label, const std::string& text) {
    std::ostringstream line;
    line << "  " << std::left << std::setw(11) << label << text << "\n";
    return line.str();
}

std::string stream_text(const SavedFile& saved) {
    std::string text = "at " + hex(saved.stream().stream_offset.value);
    if (!saved.stream_is_sound())
        return text + ", damaged or incomplete";
    text += ", complete, ";
    if (saved.problem())
        return text + "with damaged checksums";
    return text + (saved.trailer() ? "with checksums" : "no checksums");
}

std::string machine_text(const DecodedStream& stream) {
    std::string text =
        printable(stream.configuration.machine) +
        (stream.configuration.capabilities.empty() ? ", no capabilities" : ", capabilities ");
    bool first = true;
    for (const std::string& capability : stream.configuration.capabilities) {
        text += (first ? "" : ", ") + printable(capability);
        first = false;
    }
    if (const auto state = run_state_of(stream.devices))
        text += ", guest " + printable(*state);
    return text;
}

std::string counts_text(const PageCounts& counts) {
    return format_count(counts.stored) + " pages stored (" +
           format_bytes(counts.stored * kPageSize) + "), " + format_count(counts.zero) + " zero" +
           (counts.stale == 0 ? "" : ", " + format_count(counts.stale) + " stale");
}

std::string block_table(const SavedFile& saved, const std::vector<BlockSurvey>& surveys) {
    std::size_t widest = 5;
    for (const DecodedBlock& block : saved.blocks())
        widest = std::max(widest, printable(block.layout.idstr).size());
    std::ostringstream out;
    const auto row = [&](const std::string& name, const std::string& size,
                         const std::string& stored, const std::string& zero,
                         const std::string& stale, const std::string& at) {
        out << "    " << std::left << std::setw(static_cast<int>(widest)) << name << std::right
            << std::setw(12) << size << std::setw(13) << stored << std::setw(13) << zero
            << std::setw(9) << stale << "  " << at << "\n";
    };
    row("block", "size", "stored", "zero", "stale", "pages at");
    for (std::size_t i = 0; i < surveys.size(); ++i) {
        const BlockLayout& layout = saved.blocks()[i].layout;
        const PageCounts& pages = surveys[i].pages;
        row(printable(layout.idstr), format_bytes(layout.used_length), format_count(pages.stored),
            format_count(pages.zero), format_count(pages.stale), hex(layout.pages_offset.value));
    }
    return out.str();
}

std::string device_text(const DecodedStream& stream) {
    std::vector<std::string> names;
    for (const SectionInfo& section : stream.sections)
        if (section.type == SectionType::Full)
            names.push_back(
                printable(section.idstr) +
                (section.instance_id == 0 ? "" : "/" + std::to_string(section.instance_id)));
    constexpr std::size_t kColumns = 90;
    std::string text = std::to_string(names.size()) + (names.empty() ? "" : ": ");
    std::size_t column = 0;
    for (const std::string& name : names) {
        if (column != 0) {
            const bool full = column + name.size() > kColumns;
            text += full ? ",\n" + std::string(13, ' ') : ", ";
            column = full ? 0 : column;
        }
        text += name;
        column += name.size() + 2;
    }
    return text;
}

std::string inspection_text(const SavedFile& saved, const std::vector<BlockSurvey>& surveys) {
    const DecodedStream& stream = saved.stream();
    const bool is_stream = stream.configuration_end.value != 0 || !stream.sections.empty();
    std::string text = printable_path(saved.file().path()) + "\n";
    text += labelled("file", format_bytes(saved.file().size()) + ", allocated " +
                                 format_bytes(saved.file().allocated_bytes()));
    if (const auto& libvirt = saved.place().libvirt)
        text += labelled("libvirt", "save image of version " + std::to_string(libvirt->version) +
                                        ", format " + libvirt->format_name() +
                                        (libvirt->was_running ? ", guest was running" : ""));
    if (saved.problem() && !is_stream)
        return text + labelled("problem", saved.problem()->what);
    text += labelled("stream", stream_text(saved));
    if (stream.configuration_end.value != 0)
        text += labelled("machine", machine_text(stream));
    PageCounts all;
    std::uint64_t stored_zero = 0;
    for (const BlockSurvey& survey : surveys) {
        all += survey.pages;
        stored_zero += survey.stored_zero.value_or(0);
    }
    text += labelled("memory", format_bytes(stream.total_ram) + ": " + counts_text(all));
    if (!surveys.empty() && surveys.front().stored_zero)
        text += labelled("", format_count(stored_zero) + " of the stored pages are zero");
    if (!surveys.empty())
        text += block_table(saved, surveys);
    text += labelled("sections", std::to_string(stream.sections.size()) + ", of them " +
                                     std::to_string(stream.part_sections) + " PART");
    text += labelled("devices", device_text(stream));
    if (const auto& trailer = saved.trailer())
        text +=
            labelled("checksums", "of all stored pages and metadata, at " + hex(trailer->at.value));
    if (saved.problem())
        text += labelled("problem", saved.problem()->what);
    return text;
}

Exit run_inspect(const InspectOptions& options) {
    auto saved = SavedFile::open(options.file, {options.offset, files::Damaged::Show});
    if (!saved)
        return fail_on_file("inspect", saved.error());
    std::vector<BlockSurvey> surveys;
    for (const DecodedBlock& block : saved->blocks()) {
        auto survey = files::survey_block(*saved, block, {options.deep, options.runs});
        if (!survey)
            return fail_on_file("inspect", survey.error());
        surveys.push_back(std::move(*survey));
    }
    if (options.json)
        print_json(inspection_json(*saved, surveys, options.runs));
    else
        std::cout << inspection_text(*saved, surveys);
    return saved->problem() ? Exit::Failed : Exit::Ok;
}

} // namespace

void add_inspect(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("inspect", "Show what a saved file holds");
    const auto options = std::make_shared<InspectOptions>();
    add_file_argument(*command, options->file);
    add_offset_option(*command, options->offset);
    auto* json = command->add_flag("--json", options->json, "All of it, as one object");
    command
        ->add_flag("--runs", options->runs,
                   "With --json: the runs of stored, zero and stale pages of each block")
        ->needs(json);
    command->add_flag("--deep", options->deep,
                      "Read the stored pages too, and count those that are zero");
    command->footer("A stale page is zero by the bitmap, but its slot holds data: what a live save "
                    "left there,\nor all there is of a save that was cancelled.\n\n"
                    "Examples:\n"
                    "  multifdctl inspect guest.mig\n"
                    "  multifdctl inspect /var/lib/libvirt/qemu/save/vm.save --json\n"
                    "  multifdctl inspect dump --offset 1M\n\n"
                    "Exit status: 0 complete, 1 damaged or incomplete (what could be read is "
                    "shown), 2 could not be\nread.");
    command->callback(
        [options, &invocation] { invocation.run = [options] { return run_inspect(*options); }; });
}

} // namespace mfd::ctl
