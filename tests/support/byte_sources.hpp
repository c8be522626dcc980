// Sources for the decoder: bytes in memory, a file that is mostly holes, and a damaged variant of
// another source. Each refuses a read outside of it, so that a decoder which asks for one is
// caught.
#pragma once

#include "proto/decode.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mfd::testing {

inline void require_inside(FileOffset at, std::size_t bytes, std::uint64_t size) {
    if (at.value > size || bytes > size - at.value)
        throw std::logic_error("the decoder read outside of its source");
}

class MemorySource : public ByteSource {
public:
    explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
    [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
    Result<void> read_at(FileOffset at, std::span<std::byte> into) override {
        require_inside(at, into.size(), size());
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at.value), into.size(),
                    into.begin());
        return {};
    }

private:
    std::span<const std::byte> bytes_;
};

// Pieces laid over zeros; a later piece covers an earlier one. `size` is what the pieces need,
// until it is set.
class SparseSource : public ByteSource {
public:
    void put(Fragment piece) {
        size_ = std::max(size_, piece.end().value);
        pieces_.push_back(std::move(piece));
    }
    void put(FileOffset at, std::span<const std::byte> bytes) {
        put(Fragment{at, {bytes.begin(), bytes.end()}});
    }
    void set_size(std::uint64_t size) { size_ = size; }
    [[nodiscard]] std::uint64_t size() const override { return size_; }
    Result<void> read_at(FileOffset at, std::span<std::byte> into) override {
        require_inside(at, into.size(), size_);
        std::fill(into.begin(), into.end(), std::byte{0});
        for (const Fragment& piece : pieces_) {
            const std::uint64_t from = std::max(piece.at.value, at.value);
            const std::uint64_t to = std::min(piece.end().value, at.value + into.size());
            if (from < to)
                std::memcpy(into.data() + (from - at.value),
                            piece.bytes.data() + (from - piece.at.value), to - from);
        }
        return {};
    }

private:
    std::vector<Fragment> pieces_;
    std::uint64_t size_ = 0;
};

class FileSource : public ByteSource {
public:
    explicit FileSource(const std::string& path) : in_(path, std::ios::binary | std::ios::ate) {
        if (!in_)
            throw std::runtime_error("cannot open " + path);
        size_ = static_cast<std::uint64_t>(in_.tellg());
    }
    [[nodiscard]] std::uint64_t size() const override { return size_; }
    Result<void> read_at(FileOffset at, std::span<std::byte> into) override {
        require_inside(at, into.size(), size_);
        in_.seekg(static_cast<std::streamoff>(at.value));
        std::string bytes(into.size(), '\0');
        if (!in_.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
            return make_sys_error("read the sample", EIO);
        std::transform(bytes.begin(), bytes.end(), into.begin(),
                       [](char c) { return static_cast<std::byte>(c); });
        return {};
    }

private:
    std::ifstream in_;
    std::uint64_t size_ = 0;
};

// Another source with bytes changed and the end cut off.
class DamagedSource : public ByteSource {
public:
    DamagedSource(ByteSource& sound, std::vector<Fragment> patches,
                  std::optional<std::uint64_t> cut)
        : sound_(sound), patches_(std::move(patches)), size_(cut.value_or(sound.size())) {}
    [[nodiscard]] std::uint64_t size() const override { return size_; }
    Result<void> read_at(FileOffset at, std::span<std::byte> into) override {
        require_inside(at, into.size(), size_);
        MFD_CHECK(sound_.read_at(at, into));
        for (const Fragment& patch : patches_)
            for (std::size_t i = 0; i < patch.bytes.size(); ++i)
                if (const std::uint64_t place = patch.at.value + i;
                    place >= at.value && place - at.value < into.size())
                    into[place - at.value] = patch.bytes[i];
        return {};
    }

private:
    ByteSource& sound_;
    std::vector<Fragment> patches_;
    std::uint64_t size_;
};

} // namespace mfd::testing
