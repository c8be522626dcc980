// multifdctl verify: is a saved file complete and as it was written?
#include "proto/text.hpp"
#include "qmp/ctl/file_command.hpp"
#include "qmp/files/verification.hpp"
#include "qmp/units.hpp"

#include <iostream>
#include <memory>

namespace mfd::ctl {

namespace {

using files::Verdict;
using files::Verification;

struct VerifyArguments {
    std::string file;
    std::optional<std::uint64_t> offset;
    bool deep = false;
    bool json = false;
};

std::string verdict_text(const Verification& found) {
    switch (found.verdict) {
    case Verdict::Intact:
        return "complete and intact: " + format_count(found.pages_read) +
               " pages and all metadata match their checksums";
    case Verdict::NoChecksums:
        return "complete, no checksums: nothing contradicts it, but changed pages would not be "
               "noticed";
    case Verdict::Damaged:
        return std::string(found.ended_early ? "incomplete or damaged: " : "damaged: ") +
               found.problem->what +
               (found.ended_early ? "; there is no END section: the save did not get to its end, "
                                    "the file was cut, or damaged here"
                                  : "");
    }
    return {};
}

std::string notes_text(const Verification& found) {
    std::string text;
    if (found.verdict == Verdict::NoChecksums && found.pages_read != 0)
        text += "  all " + format_count(found.pages_read) + " stored pages can be read\n";
    if (found.verdict == Verdict::NoChecksums && found.pages.stale != 0)
        text += "  " + format_count(found.pages.stale) +
                " pages are zero by the bitmap, but their slots hold data: what a live save "
                "leaves,\n  or a damaged bitmap\n";
    if (found.stored_holes != 0)
        text += "  " + format_count(found.stored_holes) +
                " stored pages lie in holes of the file, so they are zero: a sparse copy makes "
                "such\n";
    return text;
}

Json verification_json(const std::string& file, const Verification& found) {
    Json out = {{"file", file},
                {"verdict", files::verdict_name(found.verdict)},
                {"complete", found.verdict != Verdict::Damaged},
                {"checksums", found.verdict == Verdict::Intact},
                {"pages-read", found.pages_read}};
    if (found.problem)
        out["problem"] = found.problem->what;
    else
        out["pages"] = {{"stored", found.pages.stored},
                        {"zero", found.pages.zero},
                        {"stale", found.pages.stale}};
    if (found.stored_holes != 0)
        out["stored-in-holes"] = found.stored_holes;
    return out;
}

Exit run_verify(const VerifyArguments& arguments) {
    const files::VerifyOptions options{arguments.offset, arguments.deep ? files::Depth::AllPages
                                                                        : files::Depth::Checksums};
    const auto found = files::verify_file(arguments.file, options);
    if (!found)
        return fail_on_file("verify", found.error());
    if (arguments.json)
        print_json(verification_json(arguments.file, *found));
    else
        std::cout << printable_path(arguments.file) << ": " << verdict_text(*found) << "\n"
                  << notes_text(*found);
    return found->verdict == Verdict::Damaged ? Exit::Failed : Exit::Ok;
}

} // namespace

void add_verify(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("verify", "Check that a saved file is complete and intact");
    const auto arguments = std::make_shared<VerifyArguments>();
    add_file_argument(*command, arguments->file);
    add_offset_option(*command, arguments->offset);
    command->add_flag("--deep", arguments->deep,
                      "Read the stored pages also where there are no checksums to compare them "
                      "with, and look for stored pages in holes");
    command->add_flag("--json", arguments->json, "The verdict as an object");
    command->footer("Checked are the structure, as a restore does it, the bitmaps against the "
                    "file's size, and the\nchecksums of all metadata and stored pages where the "
                    "file has them.\n\n"
                    "Examples:\n"
                    "  multifdctl verify guest.mig && rm guest.mig.old\n"
                    "  multifdctl verify --deep --json guest.mig\n\n"
                    "Exit status: 0 complete (and intact, as far as there are checksums), "
                    "1 damaged or incomplete,\n2 could not be read, or wrong options.");
    command->callback([arguments, &invocation] {
        invocation.run = [arguments] { return run_verify(*arguments); };
    });
}

} // namespace mfd::ctl
