// multifdctl convert: one form of a saved guest to another. Needs no server.
#include "qmp/convert/convert.hpp"

#include "proto/text.hpp"
#include "qmp/ctl/file_command.hpp"
#include "qmp/ctl/interrupts.hpp"
#include "qmp/ctl/job.hpp"
#include "qmp/ctl/progress.hpp"
#include "qmp/units.hpp"

#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

#include <unistd.h>

namespace mfd::ctl {

namespace {

using convert::Checksums;
using convert::Form;
using convert::ZeroPages;

struct ConvertCommand {
    std::string input;
    std::string output;
    std::string to = "mapped-ram";
    std::string zero_pages; // empty: as it suits
    std::string checksums;  // empty: as before
    std::string offset;
    std::string input_offset;
    bool punch_holes = false;
    bool in_place = false;
    bool keep_header = false;
    bool force = false;
    bool json = false;
    bool quiet = false;
};

// Draws the progress, and ends the work at the first ^C or SIGTERM.
class ProgressWatcher final : public convert::Watcher {
public:
    ProgressWatcher(Interrupts interrupts, ProgressMode mode)
        : interrupts_(std::move(interrupts)), display_("convert", mode),
          began_(std::chrono::steady_clock::now()) {}

    Result<void> progress(std::string_view step, std::uint64_t done_bytes,
                          std::uint64_t total_bytes) override {
        if (interrupts_.take() != 0)
            return stopped();
        const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - began_);
        if (elapsed - shown_ < kShownEvery && done_bytes != total_bytes)
            return {};
        shown_ = elapsed;
        ProgressSample sample;
        sample.status = total_bytes == 0 && done_bytes != 0
                            ? std::string(step) + ", " + format_bytes(done_bytes)
                            : std::string(step);
        sample.elapsed = elapsed;
        sample.counts_known = total_bytes != 0;
        sample.total_bytes = total_bytes;
        sample.remaining_bytes = total_bytes - std::min(total_bytes, done_bytes);
        sample.transferred_bytes = done_bytes;
        display_.show(sample);
        return {};
    }
    [[nodiscard]] FdRef stop_fd() const override { return interrupts_.fd(); }
    void clear() { display_.clear(); }
    [[nodiscard]] std::chrono::milliseconds elapsed() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - began_);
    }

private:
    static constexpr std::chrono::milliseconds kShownEvery{100};
    Interrupts interrupts_;
    ProgressDisplay display_;
    std::chrono::steady_clock::time_point began_;
    std::chrono::milliseconds shown_{-kShownEvery};
};

std::optional<ZeroPages> zero_pages_of(const std::string& text) {
    static const std::map<std::string, ZeroPages> known{
        {"keep", ZeroPages::Keep}, {"drop", ZeroPages::Drop}, {"store", ZeroPages::Store}};
    const auto found = known.find(text);
    return found == known.end() ? std::nullopt : std::optional(found->second);
}

Checksums checksums_of(const std::string& text) {
    if (text.empty())
        return Checksums::AsBefore;
    return text == "on" ? Checksums::On : Checksums::Off;
}

std::optional<std::uint64_t> offset_of(const std::string& text) {
    // The option's check has seen that it is a size.
    return text.empty() ? std::nullopt : std::optional(*parse_size(text));
}

const char* form_name(Form form) {
    return form == Form::MappedRam ? "mapped-ram" : "sequential";
}

Json json_of(const ConvertCommand& command, const convert::ConvertResult& result) {
    Json packing = result.packing.empty() ? Json(nullptr) : Json(result.packing);
    return {{"input",
             {{"file", command.input},
              {"form", form_name(result.from)},
              {"compression", std::move(packing)},
              {"libvirt-header", result.libvirt}}},
            {"output",
             {{"file", command.output},
              {"form", command.to},
              {"stream-offset", result.stream_offset},
              {"bytes", result.output_bytes},
              {"allocated-bytes", result.allocated_bytes},
              {"checksums", result.checksums}}},
            {"machine", printable(result.machine)},
            {"blocks", result.blocks},
            {"ram-bytes", result.total_ram},
            {"stored-pages", result.stored_pages},
            {"zero-pages", result.total_ram / kPageSize - result.stored_pages},
            {"devices", result.devices}};
}

std::string summary_of(const ConvertCommand& command, const convert::ConvertResult& result,
                       std::chrono::milliseconds elapsed) {
    std::string text = command.input + ": ";
    text += result.packing.empty() ? "" : result.packing + ", ";
    text += result.libvirt ? "libvirt save image, " : "";
    text += std::string(form_name(result.from)) + ", machine " + printable(result.machine) + ", " +
            std::to_string(result.blocks) + (result.blocks == 1 ? " block, " : " blocks, ") +
            format_bytes(result.total_ram) + " of RAM, " + std::to_string(result.devices) +
            (result.devices == 1 ? " device\n" : " devices\n");
    text += command.output + ": " + command.to + ", " + format_count(result.stored_pages) +
            " pages stored, " + format_count(result.total_ram / kPageSize - result.stored_pages) +
            " zero, " + format_bytes(result.allocated_bytes) + " on disk";
    text += result.checksums ? ", with checksums" : "";
    return text + ", in " + format_time(elapsed) + "\n";
}

Json json_of(const ConvertCommand& command, const convert::InPlaceResult& result) {
    return {{"file", command.input},
            {"bytes", result.file_bytes},
            {"allocated-bytes", result.allocated_after},
            {"allocated-bytes-before", result.allocated_before},
            {"stored-pages", result.stored_pages},
            {"zero-pages", result.total_pages - result.stored_pages},
            {"checksums", result.checksums}};
}

std::string summary_of(const ConvertCommand& command, const convert::InPlaceResult& result,
                       std::chrono::milliseconds elapsed) {
    std::string text = command.input + ": " + format_count(result.stored_pages) +
                       " pages stored, " + format_count(result.total_pages - result.stored_pages) +
                       " zero, " + format_bytes(result.allocated_after) +
                       " on disk (before: " + format_bytes(result.allocated_before) + ")";
    text += result.checksums ? ", with checksums" : ", without checksums";
    return text + ", in " + format_time(elapsed) + "\n";
}

// What does not go together, beyond what the declarations say.
std::string wrong_combination(const ConvertCommand& command) {
    if (!command.in_place && command.output.empty())
        return "OUT is missing: name the file to write, or change IN itself with --in-place";
    if (command.in_place && !command.output.empty())
        return "--in-place changes IN itself; leave out OUT";
    if (command.in_place && command.input == "-")
        return "--in-place needs a file";
    if (command.in_place && !command.punch_holes && command.zero_pages.empty() &&
        command.checksums.empty())
        return "nothing to do in place; say what with --punch-holes, --zero-pages or --checksums";
    if (command.output == "-" && ::isatty(STDOUT_FILENO) == 1)
        return "a stream is nothing for a terminal; name a file, or pipe it somewhere";
    if (command.output == "-" && command.json)
        return "--json and the stream cannot both go to standard output";
    return {};
}

Exit report_failure(const ConvertCommand& command, const Error& error) {
    std::string text = error.what;
    if (error.code == Errc::Cancelled)
        text += command.in_place ? "; the file is as good as before, call again to go on"
                                 : "; nothing is left of the output";
    else if (error.sys == ENOSPC)
        text += "; nothing is left of the output: make room, or write to another file system";
    say("convert", text);
    if (error.code == Errc::Cancelled)
        return Exit::Interrupted;
    return exit_of(error);
}

template <class Outcome>
Exit report(const ConvertCommand& command, const Result<Outcome>& outcome,
            ProgressWatcher& watcher) {
    watcher.clear();
    if (!outcome.has_value())
        return report_failure(command, outcome.error());
    if (command.output == "-")
        return Exit::Ok;
    if (command.json)
        print_json(json_of(command, *outcome));
    else if (!command.quiet)
        std::cout << summary_of(command, *outcome, watcher.elapsed());
    return Exit::Ok;
}

Exit run_convert(const ConvertCommand& command) {
    if (const auto text = wrong_combination(command); !text.empty()) {
        say("convert", text);
        return Exit::Usage;
    }
    auto interrupts = Interrupts::make();
    if (!interrupts.has_value())
        return fail("convert", interrupts.error());
    ProgressWatcher watcher(std::move(*interrupts), command.quiet
                                                        ? ProgressMode::Off
                                                        : pick_progress_mode(FdRef(STDERR_FILENO)));
    if (command.in_place)
        return report(
            command,
            convert::convert_in_place(command.input,
                                      {offset_of(command.input_offset),
                                       zero_pages_of(command.zero_pages).value_or(ZeroPages::Keep),
                                       checksums_of(command.checksums), command.punch_holes},
                                      watcher),
            watcher);
    convert::ConvertOptions options;
    options.input = command.input;
    options.output = command.output;
    options.input_offset = offset_of(command.input_offset);
    options.output_offset = offset_of(command.offset).value_or(0);
    options.to = command.to == "sequential" ? Form::Sequential : Form::MappedRam;
    options.zeros = zero_pages_of(command.zero_pages);
    options.checksums = checksums_of(command.checksums);
    options.keep_header = command.keep_header;
    options.existing = command.force ? Existing::Replace : Existing::Keep;
    return report(command, convert::run_conversion(options, watcher), watcher);
}

void add_convert_options(CLI::App& command, ConvertCommand& options) {
    const CLI::Validator size(check_size, "SIZE");
    command
        .add_option("IN", options.input,
                    "A QEMU stream, ordinary or mapped-ram, also a libvirt save image; an ordinary "
                    "one also gzip or zstd compressed, or - for standard input")
        ->required();
    command.add_option("OUT", options.output,
                       "The file to write, which appears when it is complete; - for standard "
                       "output, where an ordinary stream can go");
    auto* to = command.add_option("--to", options.to, "The form of OUT (default mapped-ram)")
                   ->check(CLI::IsMember({"mapped-ram", "sequential"}));
    command
        .add_option("--zero-pages", options.zero_pages,
                    "Pages of zeros: keep those that are stored (default between mapped-ram "
                    "files), drop them (default otherwise), or store all")
        ->check(CLI::IsMember({"keep", "drop", "store"}));
    command
        .add_option("--checksums", options.checksums,
                    "Checksums behind a mapped-ram stream (default: if IN has them)")
        ->check(CLI::IsMember({"on", "off"}));
    auto* in_place = command.add_flag(
        "--in-place", options.in_place,
        "Change the mapped-ram file IN itself. No page moves and no byte of the stream is lost: "
        "killed at any moment the file restores to the same guest. Only while checksums that the "
        "stream names are removed multifdd may refuse it, until this is called again");
    command
        .add_flag("--punch-holes", options.punch_holes,
                  "With --in-place: give back the disk space of pages that are not stored (a new "
                  "file never has any)")
        ->needs(in_place);
    command.add_option("--offset", options.offset, "Where in OUT the stream begins (default 0)")
        ->check(size)
        ->excludes(in_place);
    command
        .add_option("--input-offset", options.input_offset,
                    "Where in IN the stream begins (default: found by itself)")
        ->check(size);
    command
        .add_flag("--keep-header", options.keep_header,
                  "Put IN's libvirt header in front of OUT, for 'virsh restore', with the format "
                  "of the new stream in it (default: it is dropped)")
        ->excludes(in_place);
    command.add_flag("--force", options.force, "Replace OUT if it exists")->excludes(in_place);
    to->excludes(in_place);
    command.add_flag("--json", options.json, "The result as a JSON object");
    command.add_flag("-q,--quiet", options.quiet, "No progress, no summary");
}

} // namespace

void add_convert(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand(
        "convert", "Make a mapped-ram file of an ordinary QEMU stream, and back");
    const auto options = std::make_shared<ConvertCommand>();
    add_convert_options(*command, *options);
    command->footer(
        "Examples:\n"
        "  multifdctl convert saved.qemu saved.mig --checksums on\n"
        "  zstd -dc saved.zst | multifdctl convert - saved.mig\n"
        "  multifdctl convert /var/lib/libvirt/qemu/save/vm.save vm.save --keep-header\n"
        "  multifdctl convert saved.mig - --to sequential | zstd > saved.zst\n"
        "  multifdctl convert saved.mig --in-place --checksums on --punch-holes\n\n"
        "Exit status: 0 done, 1 IN is damaged, 2 could not be read or written, is of a kind that "
        "cannot be\nconverted, or wrong options, 130 interrupted.");
    command->callback(
        [options, &invocation] { invocation.run = [options] { return run_convert(*options); }; });
}

} // namespace mfd::ctl
