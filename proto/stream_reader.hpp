// The decoder's place in a source. Everything is read through here, so this is where "never outside
// the source" is kept: a read that does not fit is an error that says where the file ends.
#pragma once

#include "proto/big.hpp"
#include "proto/checked.hpp"
#include "proto/decode.hpp"
#include "proto/error.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mfd {

// What to say when the source ends before a field does.
struct WhenCut {
    std::string_view text; // QEMU's, or what could not be read
    int sys;               // the errno of QEMU's "load of migration failed"
};

class StreamReader {
public:
    StreamReader(ByteSource& source, FileOffset at) : source_(source), size_(source.size()) {
        seek(at);
    }

    [[nodiscard]] FileOffset position() const { return position_; }
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] std::uint64_t left() const {
        return position_.value < size_ ? size_ - position_.value : 0;
    }
    // May lie past the end of the source: the next read then fails.
    void seek(FileOffset at) { position_ = at; }

    // Fills `into` completely, or leaves the place as it was.
    Result<void> read(std::span<std::byte> into, const WhenCut& cut);

    template <class T>
    Result<T> take(const WhenCut& cut) {
        static_assert(std::is_trivially_copyable_v<T> && alignof(T) == 1);
        T value;
        MFD_CHECK(read(std::as_writable_bytes(std::span(&value, 1)), cut));
        return value;
    }
    template <std::unsigned_integral T>
    Result<T> take_big(const WhenCut& cut) {
        MFD_TRY(const auto value, take<Big<T>>(cut));
        return value.get();
    }
    // A length byte and that many bytes.
    Result<std::string> take_str8(const WhenCut& cut);

    // The error for a source that ends before the present place does.
    [[nodiscard]] Error cut_error(const WhenCut& cut) const;

private:
    // Metadata comes in fields of a few bytes; one read of the source serves many of them. Small,
    // as it is read anew after each jump over a page area.
    static constexpr std::size_t kWindowBytes = 4096;

    ByteSource& source_;
    std::uint64_t size_;
    FileOffset position_;
    std::array<std::byte, kWindowBytes> window_{};
    FileOffset window_at_;
    std::size_t window_bytes_ = 0;
};

} // namespace mfd
