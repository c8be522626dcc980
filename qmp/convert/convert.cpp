#include "qmp/convert/convert.hpp"

#include "channels/file_io.hpp"
#include "proto/text.hpp"
#include "qmp/convert/append_checksums.hpp"
#include "qmp/convert/input.hpp"
#include "qmp/convert/libvirt_format.hpp"
#include "qmp/convert/mapped_ram_writer.hpp"
#include "qmp/convert/saved_pages.hpp"
#include "qmp/convert/sequential_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

namespace mfd::convert {

namespace {

// Tells the watcher how much of the input has been read, once for each MiB of pages.
class WatchedSink final : public RamSink {
public:
    WatchedSink(RamSink& sink, const Input& input, Watcher& watcher, ConvertResult& result)
        : sink_(sink), input_(input), watcher_(watcher), result_(result) {}

    Result<void> begin(const GuestHead& head) override {
        for (const BlockSpec& block : head.blocks)
            result_.total_ram += block.used_length;
        result_.blocks = head.blocks.size();
        return sink_.begin(head);
    }
    Result<void> pages(std::size_t block, PageRun run, std::span<const std::byte> bytes) override {
        MFD_CHECK(tick());
        return sink_.pages(block, run, bytes);
    }
    Result<void> zero_pages(std::size_t block, PageRun run) override {
        MFD_CHECK(tick());
        return sink_.zero_pages(block, run);
    }

private:
    Result<void> tick() {
        constexpr std::uint64_t kEvery = 256;
        if (calls_++ % kEvery != 0)
            return {};
        return watcher_.progress("convert", input_.bytes_read(), input_.file_bytes());
    }

    RamSink& sink_;
    const Input& input_;
    Watcher& watcher_;
    ConvertResult& result_;
    std::uint64_t calls_ = 0;
};

class Conversion {
public:
    Conversion(const ConvertOptions& options, Watcher& watcher)
        : options_(options), watcher_(watcher) {}

    Result<ConvertResult> run() {
        // The output's name first: it costs nothing, and the input may take an hour.
        MFD_TRY(auto output, Output::create(options_.output, options_.existing));
        output_ = std::move(output);
        MFD_TRY(const auto input, Input::open(options_.input, options_.input_offset, watcher_));
        result_.from = input.is_mapped_ram() ? Form::MappedRam : Form::Sequential;
        result_.packing = input.packing();
        result_.libvirt = input.libvirt().has_value();
        MFD_CHECK(check(input));
        MFD_CHECK(place_stream(input));
        if (!input.is_mapped_ram())
            MFD_CHECK(from_sequential(input));
        else if (options_.to == Form::MappedRam)
            MFD_CHECK(mapped_to_mapped());
        else
            MFD_CHECK(mapped_to_sequential());
        if (!output_->is_file())
            return result_;
        MFD_CHECK(measure());
        MFD_CHECK(output_->publish());
        return result_;
    }

private:
    Result<void> check(const Input& input) const {
        if (options_.to == Form::MappedRam && !output_->is_file())
            return bad_argument("a mapped-ram stream needs a file, standard output will not do; "
                                "name one");
        if (input.is_mapped_ram() && !input.is_plain_file())
            return Error{
                Errc::Unsupported,
                options_.input +
                    ": a mapped-ram stream can only be read in a file, and not compressed; "
                    "unpack it first, as with: zstd -d --sparse IN -o FILE",
                ENOTSUP};
        if (!input.is_mapped_ram() && options_.to == Form::Sequential)
            return bad_argument(options_.input + " is an ordinary stream already; to unpack it, "
                                                 "use gzip -dc or zstd -dc");
        if (options_.keep_header && !input.libvirt())
            return bad_argument(options_.input + " has no libvirt header that could be kept; leave "
                                                 "out --keep-header");
        if (options_.keep_header && options_.output_offset != 0)
            return bad_argument("--keep-header says where the stream begins; leave out --offset");
        if (options_.to == Form::Sequential && options_.checksums == Checksums::On)
            return bad_argument("checksums stand behind mapped-ram streams only; leave out "
                                "--checksums, or --to");
        return {};
    }

    Result<void> place_stream(const Input& input) {
        result_.stream_offset = options_.output_offset;
        if (options_.keep_header) {
            std::vector<std::byte> header = input.header_bytes();
            set_libvirt_format(header, options_.to == Form::MappedRam ? LibvirtFormat::Sparse
                                                                      : LibvirtFormat::Raw);
            result_.stream_offset = header.size();
            if (output_->is_file())
                return write_all_at(output_->fd(), header, 0);
            const auto write = [this](std::span<const std::byte> data, std::uint64_t) -> ssize_t {
                const ssize_t written = ::write(output_->fd().get(), data.data(), data.size());
                return written < 0 ? -errno : written;
            };
            return write_all_at(write, std::span<const std::byte>(header), 0);
        }
        return {};
    }

    [[nodiscard]] ZeroPages zeros(ZeroPages otherwise) const {
        return options_.zeros.value_or(otherwise);
    }

    Result<void> from_sequential(const Input& input) {
        const bool sums = options_.checksums == Checksums::On;
        const std::uint64_t id = draw_trailer_id();
        MappedRamWriter writer(output_->fd(), FileOffset(result_.stream_offset),
                               zeros(ZeroPages::Drop), sums ? std::optional(id) : std::nullopt);
        WatchedSink sink(writer, input, watcher_, result_);
        auto stream = decode_sequential(input.stream(), sink);
        if (!stream.has_value())
            return explained(input, std::move(stream).error());
        count_devices(stream->configuration, stream->tail);
        MFD_CHECK(writer.finish(stream->tail));
        result_.stored_pages = writer.stored_pages();
        return finish_mapped(sums ? std::optional(id) : std::nullopt);
    }

    // An error's place counts from the stream's first byte where it cannot be the file's.
    [[nodiscard]] Error explained(const Input& input, Error error) const {
        if (error.code == Errc::Cancelled)
            return error;
        std::string name = options_.input == "-" ? "standard input" : options_.input;
        if (!input.packing().empty())
            name += " (offsets are those of the unpacked stream)";
        else if (options_.input_offset.value_or(0) != 0)
            name += " (offsets count from --input-offset)";
        return with_context(std::move(name), std::move(error));
    }

    Result<files::SavedFile> open_saved() {
        MFD_TRY(auto saved, files::SavedFile::open(options_.input, {options_.input_offset}));
        result_.blocks = saved.blocks().size();
        result_.total_ram = saved.stream().total_ram;
        count_devices(saved.stream().configuration, tail_of(saved.stream()));
        return saved;
    }

    Result<void> mapped_to_mapped() {
        MFD_TRY(const auto saved, open_saved());
        const bool sums =
            options_.checksums == Checksums::On ||
            (options_.checksums == Checksums::AsBefore && saved.trailer().has_value());
        const auto id = sums ? std::optional(draw_trailer_id()) : std::nullopt;
        MappedRamWriter writer(output_->fd(), FileOffset(result_.stream_offset),
                               zeros(ZeroPages::Keep), id);
        MFD_CHECK(writer.begin(head_of(saved.stream())));
        MFD_CHECK(copy_pages(saved, writer, watcher_));
        MFD_CHECK(writer.finish(tail_of(saved.stream())));
        result_.stored_pages = writer.stored_pages();
        return finish_mapped(id);
    }

    Result<void> mapped_to_sequential() {
        MFD_TRY(const auto saved, open_saved());
        if (output_->is_file() &&
            ::lseek(output_->fd().get(), static_cast<off_t>(result_.stream_offset), SEEK_SET) < 0)
            return make_sys_error("go to the offset of the output", errno);
        SequentialWriter writer(output_->fd(), watcher_.stop_fd(), zeros(ZeroPages::Drop),
                                saved.stream().early_devices);
        MFD_CHECK(writer.begin(head_of(saved.stream())));
        MFD_CHECK(copy_pages(saved, writer, watcher_));
        MFD_CHECK(writer.finish(tail_of(saved.stream())));
        result_.stored_pages = writer.data_pages();
        result_.output_bytes = result_.stream_offset + writer.bytes_written();
        return {};
    }

    // Reads back what was written, as a restore would, and puts the checksums behind it.
    Result<void> finish_mapped(std::optional<std::uint64_t> id) {
        MFD_TRY(const auto saved,
                files::SavedFile::open(
                    output_->path_to_open(),
                    {result_.stream_offset, files::Damaged::Refuse, files::Checksums::Ignore}));
        result_.checksums = id.has_value();
        if (!id)
            return {};
        MFD_CHECK(append_checksums(saved, output_->fd(), *id, watcher_));
        return {};
    }

    void count_devices(const Configuration& configuration, const GuestTail& tail) {
        result_.machine = configuration.machine;
        result_.devices = tail.early_devices.size() + tail.devices.size();
    }

    Result<void> measure() {
        struct stat status {};
        if (::fdatasync(output_->fd().get()) != 0 || ::fstat(output_->fd().get(), &status) != 0)
            return make_sys_error("bring " + options_.output + " to stable storage", errno);
        constexpr std::uint64_t kStatBlockBytes = 512;
        result_.output_bytes = static_cast<std::uint64_t>(status.st_size);
        result_.allocated_bytes = static_cast<std::uint64_t>(status.st_blocks) * kStatBlockBytes;
        return {};
    }

    const ConvertOptions& options_;
    Watcher& watcher_;
    std::optional<Output> output_;
    ConvertResult result_;
};

} // namespace

Result<ConvertResult> run_conversion(const ConvertOptions& options, Watcher& watcher) {
    return Conversion(options, watcher).run();
}

} // namespace mfd::convert
