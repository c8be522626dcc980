#include "qmp/convert/input.hpp"

#include "proto/span_source.hpp"
#include "qmp/files/packing.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>

namespace mfd::convert {

namespace {

constexpr std::size_t kMaxLayers = 4; // a compressed libvirt image of a compressed stream has three

bool starts_with(std::span<const std::byte> bytes, std::string_view magic) {
    const auto wanted = std::as_bytes(std::span(magic));
    return bytes.size() >= wanted.size() && std::equal(wanted.begin(), wanted.end(), bytes.begin());
}

bool is_unpacked_here(const files::Packing& packing) {
    return packing.name == "gzip" || packing.name == "zstd";
}

Error not_unpacked(const files::Packing& packing, bool behind_libvirt) {
    std::string text = "the stream is compressed with " + std::string(packing.name) +
                       ", which is not unpacked here; ";
    // Behind the header the stream begins at any byte, so no pipe can be proposed.
    text += behind_libvirt ? "set save_image_format = \"raw\" (or zstd) in libvirt's qemu.conf and "
                             "save again"
                           : "do it on the way: " + std::string(packing.name) +
                                 " -dc IN | multifdctl convert - OUT";
    return {Errc::Unsupported, text, ENOTSUP};
}

Result<UniqueFd> open_input(const std::string& path, std::optional<std::uint64_t> offset,
                            std::uint64_t& file_bytes) {
    UniqueFd own;
    if (path != "-") {
        own = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!own.valid())
            return make_sys_error("open " + path, errno);
    }
    const int fd = own.valid() ? own.get() : STDIN_FILENO;
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return make_sys_error("open " + path, errno);
    if (S_ISDIR(status.st_mode))
        return make_sys_error("open " + path, EISDIR);
    if (S_ISREG(status.st_mode))
        file_bytes = static_cast<std::uint64_t>(status.st_size);
    if (offset.value_or(0) != 0 && ::lseek(fd, static_cast<off_t>(*offset), SEEK_CUR) < 0)
        return make_sys_error("go to offset " + std::to_string(*offset) + " of " + path, errno);
    return own;
}

} // namespace

Result<Input> Input::open(const std::string& path, std::optional<std::uint64_t> offset,
                          const Watcher& watcher) {
    Input input;
    MFD_TRY(input.own_, open_input(path, offset, input.file_bytes_));
    const FdRef fd = input.own_.valid() ? input.own_.ref() : FdRef(STDIN_FILENO);
    input.layers_.push_back(std::make_unique<BufferedStream>(make_fd_feed(fd, watcher.stop_fd())));
    auto found = input.unwrap();
    if (!found.has_value())
        return with_context(path == "-" ? "standard input" : path, std::move(found).error());
    return input;
}

Result<void> Input::unwrap() {
    while (layers_.size() < kMaxLayers) {
        MFD_TRY(const auto seen, stream().peek(ByteStream::kMaxPeek));
        if (starts_with(seen, "QEVM")) {
            mapped_ram_ = begins_mapped_ram(seen);
            return {};
        }
        MFD_TRY(const bool went_on, unwrap_once(seen));
        if (!went_on)
            break;
    }
    return Error{Errc::BadFormat,
                 "Not a migration stream: neither QEMU's, nor a libvirt save image, nor gzip or "
                 "zstd of one of them; if it begins further on, give its place with --input-offset",
                 EINVAL};
}

// One layer further towards the stream; false if none is known.
Result<bool> Input::unwrap_once(std::span<const std::byte> seen) {
    if (const files::Packing* const packing = files::packing_of(seen)) {
        if (!is_unpacked_here(*packing))
            return not_unpacked(*packing, libvirt_.has_value());
        std::unique_ptr<Feed> feed;
        if (packing->name == "zstd") {
            MFD_TRY(feed, make_zstd_feed(stream()));
        } else {
            feed = make_gzip_feed(stream());
        }
        layers_.push_back(std::make_unique<BufferedStream>(std::move(feed)));
        packing_ = packing->name;
        return true;
    }
    if (libvirt_ || !starts_with(seen, "LibvirtQemud"))
        return false;
    MFD_CHECK(enter_libvirt_image(seen));
    return true;
}

Result<void> Input::enter_libvirt_image(std::span<const std::byte> seen) {
    SpanSource source(FileOffset(0), seen);
    MFD_TRY(auto place, files::find_stream(source, std::nullopt));
    if (!place.libvirt)
        return Error{Errc::BadFormat, "the header of a libvirt save image is cut", EINVAL};
    if (!place.libvirt->complete)
        return Error{Errc::BadFormat,
                     "libvirt has not marked this save image as complete: its save did not get to "
                     "its end, so there is no guest to convert",
                     EINVAL};
    for (const files::Packing& packing : files::packings())
        if (packing.name == place.libvirt->format_name() && !is_unpacked_here(packing))
            return not_unpacked(packing, true);
    const auto header = seen.first(static_cast<std::size_t>(place.offset.value));
    header_bytes_.assign(header.begin(), header.end());
    libvirt_ = std::move(place.libvirt);
    stream().skip(header.size());
    return {};
}

} // namespace mfd::convert
