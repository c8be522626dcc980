// multifdctl diff: the pages in which two saved guests differ.
#include "proto/text.hpp"
#include "qmp/ctl/file_command.hpp"
#include "qmp/ctl/page_range.hpp"
#include "qmp/files/difference.hpp"
#include "qmp/units.hpp"

#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

namespace mfd::ctl {

namespace {

using files::SavedFile;

struct DiffOptions {
    std::string a;
    std::string b;
    std::optional<std::uint64_t> offset_a;
    std::optional<std::uint64_t> offset_b;
    bool brief = false;
    bool no_verify = false;
    bool json = false;
};

// A block of either file or of both.
struct BlockDifference {
    std::string name;
    std::optional<std::uint64_t> pages_a;
    std::optional<std::uint64_t> pages_b;
    std::vector<PageRun> runs;
    std::uint64_t differing = 0; // pages
    [[nodiscard]] bool same() const { return pages_a == pages_b && differing == 0; }
};

Result<BlockDifference> compare_block(const SavedFile& a, const DecodedBlock& block,
                                      const SavedFile& b) {
    BlockDifference out{block.layout.idstr, block.layout.pages(), std::nullopt, {}, 0};
    const DecodedBlock* const other = b.find_block(out.name);
    if (other == nullptr)
        return out;
    out.pages_b = other->layout.pages();
    MFD_CHECK(files::for_each_difference({a, block}, {b, *other}, [&](PageRun run) -> Result<void> {
        out.runs.push_back(run);
        out.differing += run.count;
        return {};
    }));
    return out;
}

// In the order of A, then what only B has.
Result<std::vector<BlockDifference>> compare_files(const SavedFile& a, const SavedFile& b) {
    std::vector<BlockDifference> out;
    for (const DecodedBlock& block : a.blocks()) {
        MFD_TRY(auto difference, compare_block(a, block, b));
        out.push_back(std::move(difference));
    }
    for (const DecodedBlock& block : b.blocks())
        if (a.find_block(block.layout.idstr) == nullptr)
            out.push_back({block.layout.idstr, std::nullopt, block.layout.pages(), {}, 0});
    return out;
}

std::string pages_text(std::uint64_t count) {
    return format_count(count) + (count == 1 ? " page" : " pages");
}

std::string block_text(const BlockDifference& block, bool brief) {
    const std::string name = printable(block.name);
    if (!block.pages_a || !block.pages_b)
        return name + ": only in " + (block.pages_a ? "A, " : "B, ") +
               pages_text(block.pages_a.value_or(0) + block.pages_b.value_or(0)) + "\n";
    std::string text = name + ": ";
    if (block.pages_a != block.pages_b)
        text += pages_text(*block.pages_a) + " in A, " + pages_text(*block.pages_b) + " in B; ";
    text += pages_text(block.differing) + " of " +
            format_count(std::min(*block.pages_a, *block.pages_b)) +
            (block.differing == 1 ? " differs" : " differ");
    if (block.differing != 0)
        text +=
            ", in " + format_count(block.runs.size()) + (block.runs.size() == 1 ? " run" : " runs");
    text += "\n";
    if (!brief)
        for (const PageRun run : block.runs)
            text += "  " + page_range_text(run) + "\n";
    return text;
}

Json difference_json(const BlockDifference& block) {
    Json out = {{"name", block.name}, {"same", block.same()}};
    if (block.pages_a)
        out["pages-a"] = *block.pages_a;
    if (block.pages_b)
        out["pages-b"] = *block.pages_b;
    if (block.pages_a && block.pages_b) {
        out["differing-pages"] = block.differing;
        out["runs"] = Json::array();
        for (const PageRun run : block.runs)
            out["runs"].push_back({run.first, run.count});
    }
    return out;
}

void report_difference(const DiffOptions& options, const std::vector<BlockDifference>& blocks,
                       bool same) {
    std::uint64_t differing = 0;
    std::uint64_t pages = 0;
    for (const BlockDifference& block : blocks) {
        differing += block.differing;
        pages += block.pages_a.value_or(0);
    }
    if (options.json) {
        Json out = {{"a", options.a},
                    {"b", options.b},
                    {"same", same},
                    {"differing-pages", differing},
                    {"blocks", Json::array()}};
        for (const BlockDifference& block : blocks)
            out["blocks"].push_back(difference_json(block));
        print_json(out);
        return;
    }
    for (const BlockDifference& block : blocks)
        if (!block.same())
            std::cout << block_text(block, options.brief);
    if (same)
        std::cout << "the same memory: " << pages_text(pages) << " in " << blocks.size()
                  << (blocks.size() == 1 ? " block\n" : " blocks\n");
}

Result<Exit> diff(const DiffOptions& options) {
    const auto checksums = options.no_verify ? files::Checksums::Ignore : files::Checksums::Use;
    MFD_TRY(const auto a, SavedFile::open(options.a, {options.offset_a, files::Damaged::Refuse,
                                                      checksums, "--offset-a"}));
    MFD_TRY(const auto b, SavedFile::open(options.b, {options.offset_b, files::Damaged::Refuse,
                                                      checksums, "--offset-b"}));
    MFD_TRY(const auto blocks, compare_files(a, b));
    const bool same = std::ranges::all_of(blocks, &BlockDifference::same);
    report_difference(options, blocks, same);
    return same ? Exit::Ok : Exit::Failed;
}

} // namespace

void add_diff(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("diff", "List the pages in which two saved files differ");
    const auto options = std::make_shared<DiffOptions>();
    add_file_argument(*command, options->a, "A", "A saved guest");
    add_file_argument(*command, options->b, "B", "The other one");
    add_offset_option(*command, options->offset_a, "--offset-a");
    add_offset_option(*command, options->offset_b, "--offset-b");
    command->add_flag("-q,--brief", options->brief, "Only how many pages of each block");
    command->add_flag("--no-verify", options->no_verify, "Do not compare checksums");
    command->add_flag("--json", options->json, "As an object; runs are [first page, count]");
    command->footer("Compared is the memory, block by block; devices are not. A page that is not "
                    "stored is zero.\n\n"
                    "Examples:\n"
                    "  multifdctl diff monday.mig tuesday.mig --brief\n"
                    "  multifdctl diff --json a.mig b.mig\n\n"
                    "Exit status, as of diff(1): 0 the same, 1 different, 2 trouble.");
    command->callback([options, &invocation] {
        invocation.run = [options] {
            const auto done = diff(*options);
            return done ? *done : fail("diff", done.error(), Exit::Usage);
        };
    });
}

} // namespace mfd::ctl
