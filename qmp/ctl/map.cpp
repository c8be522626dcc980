// multifdctl map: a picture of the memory in a saved file.
#include "proto/text.hpp"
#include "qmp/ctl/file_command.hpp"
#include "qmp/ctl/map_json.hpp"
#include "qmp/ctl/map_picture.hpp"
#include "qmp/ctl/terminal.hpp"
#include "qmp/units.hpp"

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string_view>

#include <unistd.h>

namespace mfd::ctl {

namespace {

using files::SavedFile;

struct MapOptions {
    std::string file;
    std::string against;
    std::string out;
    std::vector<std::string> blocks;
    std::optional<std::uint64_t> offset;
    std::optional<std::uint64_t> offset_against;
    std::string layout = "hilbert";
    std::uint32_t size = 1024;
    bool tui = false;
    bool json = false;
    bool force = false;
    bool no_verify = false;
};

// The terminal's, of another output that of COLUMNS and LINES, or 80 by 24.
map::TerminalSize picture_size() {
    if (const auto size = terminal_size(FdRef(STDOUT_FILENO)))
        return {size->columns, size->lines};
    const map::TerminalSize usual;
    const auto number = [](const char* name, std::uint32_t otherwise) {
        constexpr unsigned long kMost = 10'000;
        const auto value = std::strtoul(environment(name).c_str(), nullptr, 10);
        return value != 0 && value <= kMost ? static_cast<std::uint32_t>(value) : otherwise;
    };
    return {number("COLUMNS", usual.columns), number("LINES", usual.lines)};
}

map::Paint terminal_paint() {
    if (!speaks_utf8())
        return map::Paint::Ascii;
    return colours_wanted() ? map::Paint::Colours : map::Paint::Glyphs;
}

Result<Exit> make_map(const MapOptions& options) {
    const auto checksums = options.no_verify ? files::Checksums::Ignore : files::Checksums::Use;
    // Only a comparison reads pages that could be damaged without a word.
    const bool compares = !options.against.empty();
    MFD_TRY(const auto saved,
            SavedFile::open(options.file,
                            {options.offset,
                             compares ? files::Damaged::Refuse : files::Damaged::Show, checksums}));
    if (saved.problem() && saved.blocks().empty())
        return with_context(options.file, *saved.problem()); // a picture of nothing
    std::optional<SavedFile> other;
    if (compares) {
        MFD_TRY(other,
                SavedFile::open(options.against, {options.offset_against, files::Damaged::Refuse,
                                                  checksums, "--offset-against"}));
    }
    MapSubject subject{saved, other ? &*other : nullptr, {}, {}};
    MFD_CHECK(choose_blocks(subject, options.blocks));
    subject.facts.file = printable(options.file);
    subject.facts.against = printable(options.against);
    subject.facts.order = options.layout == "rows" ? map::Order::Rows : map::Order::Hilbert;
    if (saved.problem())
        say("map", "what could be read is shown: " + saved.problem()->what);
    if (!options.out.empty()) {
        MFD_CHECK(map_into_file(subject, options.out, options.size,
                                options.force ? Existing::Replace : Existing::Keep));
        if (!options.json)
            std::cout << printable_path(options.out) << ": " << map_totals_text(subject.facts)
                      << "\n";
    }
    if (options.tui) {
        MFD_TRY(const auto text, map_for_terminal(subject, picture_size(), terminal_paint()));
        std::cout << text;
    }
    if (options.json) {
        MFD_TRY(const auto json, map_json(subject));
        print_json(json);
    }
    return saved.problem() ? Exit::Failed : Exit::Ok;
}

Exit run_map(const MapOptions& options) {
    if (options.out.empty() && !options.tui && !options.json)
        return fail("map",
                    bad_argument("name the picture to make with -o (.svg, .png or .html), or see "
                                 "it here with --tui"),
                    Exit::Usage);
    const auto done = make_map(options);
    return done ? *done : fail_on_file("map", done.error());
}

} // namespace

void add_map(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("map", "Draw a picture of the memory in a saved file");
    const auto options = std::make_shared<MapOptions>();
    add_file_argument(*command, options->file);
    command->add_option("--against", options->against,
                        "OTHER: a second saved guest; pages that differ from it stand out");
    command->add_option("-o,--output", options->out,
                        "OUT: the picture, an .svg, .png or .html, which appears when it is "
                        "complete");
    auto* tui = command->add_flag("--tui", options->tui,
                                  "In the terminal, once, as large as that is; NO_COLOR is "
                                  "respected");
    command->add_option("--layout", options->layout, "hilbert or rows")
        ->check(CLI::IsMember({"hilbert", "rows"}))
        ->capture_default_str();
    command->add_option("--size", options->size, "Width of an .svg or .png in pixels")
        ->check(CLI::Range(map::kLeastWidth, map::kMostWidth))
        ->capture_default_str();
    command->add_option("--block", options->blocks, "NAME: only this block; may be repeated")
        ->allow_extra_args(false);
    command->add_flag("--force", options->force, "Replace a file that is there");
    command->add_flag("--no-verify", options->no_verify,
                      "Do not compare checksums (with --against)");
    add_offset_option(*command, options->offset);
    add_offset_option(*command, options->offset_against, "--offset-against");
    command->add_flag("--json", options->json, "Totals and runs, as an object")->excludes(tui);
    command->footer(
        "Each page is stored, zero, stale (zero, but old data is left in its place) or, with "
        "--against,\ndiffers: it is not the same in OTHER, or OTHER does not have it. Where a cell "
        "of the picture\nstands for several pages, it has the colour of the most interesting "
        "(differs, stale, stored,\nzero), the paler the fewer pages are like it. The HTML file "
        "needs no network; wheel and keys\nzoom, and the page under the pointer is named.\n\n"
        "Examples:\n"
        "  multifdctl map guest.mig --tui\n"
        "  multifdctl map guest.mig -o guest.html\n"
        "  multifdctl map tuesday.mig --against monday.mig -o changes.png --size 2048\n\n"
        "Exit status: 0 done, 1 a file is damaged (what could be read of FILE is shown), 2 could "
        "not be read\nor written, or wrong options.");
    command->callback(
        [options, &invocation] { invocation.run = [options] { return run_map(*options); }; });
}

} // namespace mfd::ctl
