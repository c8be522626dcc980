// multifdctl extract: memory out of a saved file.
#include "proto/text.hpp"
#include "qmp/ctl/core_dump.hpp"
#include "qmp/ctl/file_command.hpp"
#include "qmp/ctl/page_range.hpp"
#include "qmp/files/output_file.hpp"
#include "qmp/files/page_sinks.hpp"
#include "qmp/units.hpp"

#include <cerrno>
#include <iostream>
#include <memory>

#include <unistd.h>

namespace mfd::ctl {

namespace {

using files::OutputFile;
using files::SavedFile;

struct ExtractOptions {
    std::string file;
    std::string block;
    std::string out;
    std::string range; // "", "N" or "A-B"
    std::optional<std::uint64_t> offset;
    CoreOptions core;
    bool elf = false;
    bool hex = false;
    bool force = false;
    bool no_verify = false;
    bool json = false;
};

struct Extraction {
    const SavedFile& saved;
    const DecodedBlock& block;
    PageRun pages;
};

Result<const DecodedBlock*> wanted_block(const SavedFile& saved, const std::string& name) {
    if (name.empty())
        return bad_argument("which block? The file has " + saved.block_names());
    return saved.require_block(name);
}

Result<void> to_standard_output(const Extraction& extraction, bool hex) {
    const files::Stream out{FdRef(STDOUT_FILENO), "standard output"};
    if (!hex) {
        files::StreamSink sink(out);
        return files::walk_pages(extraction.saved, extraction.block, extraction.pages, sink);
    }
    files::HexSink sink(PageIndex(extraction.pages.first), [out](std::string_view text) {
        return files::write_stream(out, std::as_bytes(std::span(text)));
    });
    MFD_CHECK(files::walk_pages(extraction.saved, extraction.block, extraction.pages, sink));
    return sink.finish();
}

// Bytes that were written.
Result<std::uint64_t> to_file(const Extraction& extraction, OutputFile& out, bool hex) {
    if (!hex) {
        MFD_CHECK(out.set_length(extraction.pages.count * kPageSize));
        files::SparseFileSink sink(out, PageIndex(extraction.pages.first), FileOffset(0));
        MFD_CHECK(files::walk_pages(extraction.saved, extraction.block, extraction.pages, sink));
        return sink.written_bytes();
    }
    std::uint64_t written = 0;
    files::HexSink sink(PageIndex(extraction.pages.first), [&](std::string_view text) {
        written += text.size();
        return files::write_stream({out.fd(), out.path()}, std::as_bytes(std::span(text)));
    });
    MFD_CHECK(files::walk_pages(extraction.saved, extraction.block, extraction.pages, sink));
    MFD_CHECK(sink.finish());
    return written;
}

void report(const ExtractOptions& options, std::uint64_t length, const CoreWritten& written,
            const Json& segments) {
    if (!options.json) {
        std::cout << printable_path(options.out) << ": " << format_bytes(length) << ", of them "
                  << format_bytes(written.bytes) << " data\n"
                  << core_table(segments);
        if (!written.kernel.empty())
            std::cout << "  the guest's kernel is Linux " << printable(written.kernel) << "\n";
        return;
    }
    Json out = {
        {"file", options.file}, {"out", options.out}, {"size", length}, {"data", written.bytes}};
    if (!written.kernel.empty())
        out["kernel"] = written.kernel;
    if (!options.block.empty())
        out["block"] = options.block;
    if (options.elf)
        out["segments"] = segments;
    print_json(out);
}

Result<Exit> extract_core(const ExtractOptions& options, const SavedFile& saved) {
    MFD_TRY(const auto core, plan_core_dump(saved, options.block, options.core));
    MFD_TRY(auto out,
            OutputFile::create(options.out, options.force ? Existing::Replace : Existing::Keep));
    MFD_TRY(const auto written, write_core_dump(saved, core, out));
    MFD_CHECK(out.complete());
    report(options, core.frame.length, written, core_json(saved, core));
    return Exit::Ok;
}

Result<Exit> extract(const ExtractOptions& options) {
    MFD_TRY(const auto saved,
            SavedFile::open(options.file, {options.offset, files::Damaged::Refuse,
                                           options.no_verify ? files::Checksums::Ignore
                                                             : files::Checksums::Use}));
    if (options.elf)
        return extract_core(options, saved);
    MFD_TRY(const DecodedBlock* const block, wanted_block(saved, options.block));
    MFD_TRY(const PageRun pages, parse_page_range(options.range, block->layout.pages()));
    const Extraction extraction{saved, *block, pages};
    if (options.out.empty()) {
        auto written = to_standard_output(extraction, options.hex);
        if (!written && written.error().sys == EPIPE)
            return Exit::Failed; // without a word: whoever reads has seen enough
        MFD_CHECK(written);
        return Exit::Ok;
    }
    MFD_TRY(auto out,
            OutputFile::create(options.out, options.force ? Existing::Replace : Existing::Keep));
    MFD_TRY(const std::uint64_t written, to_file(extraction, out, options.hex));
    MFD_CHECK(out.complete());
    report(options, options.hex ? written : pages.count * kPageSize, {written, {}}, {});
    return Exit::Ok;
}

Exit run_extract(const ExtractOptions& options) {
    const bool to_terminal = options.out.empty() && ::isatty(STDOUT_FILENO) == 1;
    if (options.out.empty() && (options.elf || options.json))
        return fail("extract", bad_argument("name the file to make with -o"), Exit::Usage);
    if (to_terminal && !options.hex)
        return fail("extract",
                    bad_argument("memory is not written to a terminal: name a file with -o, or "
                                 "see it with --hex"),
                    Exit::Usage);
    auto done = extract(options);
    if (done)
        return *done;
    Error error = done.error();
    if (error.what.find("checksum") != std::string::npos && !options.no_verify)
        error.what += "; --no-verify takes it as it is";
    return fail_on_file("extract", error);
}

} // namespace

void add_extract(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("extract", "Take memory out of a saved file");
    const auto options = std::make_shared<ExtractOptions>();
    add_file_argument(*command, options->file);
    command->add_option("BLOCK", options->block,
                        "The block, as inspect lists them; not needed with --elf");
    command->add_option("-o,--output", options->out,
                        "OUT: a new file, which appears when it is complete; holes stay holes. "
                        "Standard output if not given");
    auto* elf = command->add_flag("--elf", options->elf,
                                  "An ELF core file of all blocks, or of BLOCK, for gdb and crash");
    auto* page = command->add_option("--page", options->range, "N: only this page");
    command->add_option("--range", options->range, "A-B: only these pages, both included")
        ->excludes(page)
        ->excludes(elf);
    page->excludes(elf);
    command->add_flag("--hex", options->hex, "As hexdump -C shows it, by offset in the block")
        ->excludes(elf);
    command
        ->add_option("--ram", options->core.ram,
                     "BLOCK,...: with --elf, the blocks that are the guest's memory from "
                     "address 0 on")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->needs(elf);
    command
        ->add_option("--at", options->core.at,
                     "BLOCK=ADDRESS: with --elf, where in the guest a block lies")
        ->needs(elf)
        ->allow_extra_args(false);
    command->add_flag("--force", options->force, "Replace a file that is there");
    command->add_flag("--no-verify", options->no_verify, "Do not compare checksums");
    add_offset_option(*command, options->offset);
    command->add_flag("--json", options->json, "With -o: say as an object what was written");
    command->footer(
        "Addresses in an ELF core are guest-physical. On pc and q35 the guest's memory is split "
        "around\n4 GiB as there; blocks whose place the file does not tell lie from 1 TiB on, and "
        "are listed.\nRegisters are not in it: they are shown as 0. What a Linux guest's kernel "
        "says of "
        "itself (vmcoreinfo)\nis, so that crash needs no more than its vmlinux with debug "
        "symbols.\n\n"
        "Examples:\n"
        "  multifdctl extract guest.mig pc.ram -o ram.img\n"
        "  multifdctl extract guest.mig pc.ram --page 0x10 --hex\n"
        "  multifdctl extract guest.mig --elf -o guest.core && gdb -c guest.core\n"
        "  crash vmlinux guest.core\n"
        "  multifdctl extract numa.mig --elf -o numa.core --ram n0,n1 --at d0=0x100000000\n\n"
        "Exit status: 0 done, 1 the file is damaged, 2 could not be read or written, or wrong "
        "options.");
    command->callback(
        [options, &invocation] { invocation.run = [options] { return run_extract(*options); }; });
}

} // namespace mfd::ctl
