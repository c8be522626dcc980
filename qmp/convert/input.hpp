// What `convert` reads: finds the stream in a file or pipe, behind a libvirt header, compressed, or
// both.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/sequential.hpp"
#include "qmp/convert/feed.hpp"
#include "qmp/convert/watcher.hpp"
#include "qmp/files/stream_search.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mfd::convert {

class Input {
public:
    // `path` may be "-", standard input. `offset`: where the stream (or what it is packed in)
    // begins; found by itself if not set. Errors name what cannot be read and what reads it.
    static Result<Input> open(const std::string& path, std::optional<std::uint64_t> offset,
                              const Watcher& watcher);

    // Stands where the stream begins.
    [[nodiscard]] ByteStream& stream() const { return *layers_.back(); }
    [[nodiscard]] bool is_mapped_ram() const { return mapped_ram_; }
    // Can the stream be read at any place, as a mapped-ram stream has to be?
    [[nodiscard]] bool is_plain_file() const { return file_bytes_ != 0 && packing_.empty(); }
    // "zstd", "gzip"; empty: not compressed.
    [[nodiscard]] const std::string& packing() const { return packing_; }
    // Everything before the stream, if that is a libvirt save image.
    [[nodiscard]] const std::optional<files::LibvirtHeader>& libvirt() const { return libvirt_; }
    [[nodiscard]] const std::vector<std::byte>& header_bytes() const { return header_bytes_; }

    // Of the file; 0 if it is a pipe.
    [[nodiscard]] std::uint64_t file_bytes() const { return file_bytes_; }
    [[nodiscard]] std::uint64_t bytes_read() const { return layers_.front()->position(); }

private:
    Input() = default;
    Result<void> unwrap();
    Result<bool> unwrap_once(std::span<const std::byte> seen);
    Result<void> enter_libvirt_image(std::span<const std::byte> seen);

    UniqueFd own_;                                        // not valid for standard input
    std::vector<std::unique_ptr<BufferedStream>> layers_; // each reads from the one before
    std::string packing_;
    std::optional<files::LibvirtHeader> libvirt_;
    std::vector<std::byte> header_bytes_;
    std::uint64_t file_bytes_ = 0;
    bool mapped_ram_ = false;
};

} // namespace mfd::convert
