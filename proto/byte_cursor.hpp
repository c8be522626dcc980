// Bounded reading from bytes in memory, and writing to bytes that grow. Neither owns a file; any
// thread may use its own.
#pragma once

#include "proto/big.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mfd {

// Walks over borrowed bytes. Whatever does not fit into what is left is refused, and the cursor
// stays where it was.
class ByteCursor {
public:
    explicit ByteCursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

    [[nodiscard]] std::size_t position() const { return position_; }
    [[nodiscard]] std::size_t left() const { return bytes_.size() - position_; }

    [[nodiscard]] std::optional<std::span<const std::byte>> take_bytes(std::size_t count) {
        if (count > left())
            return std::nullopt;
        const auto taken = bytes_.subspan(position_, count);
        position_ += count;
        return taken;
    }

    // A wire struct, or Big<> integer.
    template <class T>
    [[nodiscard]] std::optional<T> take() {
        static_assert(std::is_trivially_copyable_v<T> && alignof(T) == 1);
        const auto bytes = take_bytes(sizeof(T));
        if (!bytes)
            return std::nullopt;
        T value;
        std::memcpy(&value, bytes->data(), sizeof(T));
        return value;
    }

    template <std::unsigned_integral T>
    [[nodiscard]] std::optional<T> take_big() {
        const auto value = take<Big<T>>();
        return value ? std::optional(value->get()) : std::nullopt;
    }

private:
    std::span<const std::byte> bytes_;
    std::size_t position_ = 0;
};

// Appends to bytes it owns.
class ByteWriter {
public:
    template <class T>
    ByteWriter& put(const T& value) {
        static_assert(std::is_trivially_copyable_v<T> && alignof(T) == 1);
        return put_bytes(std::as_bytes(std::span(&value, 1)));
    }
    template <std::unsigned_integral T>
    ByteWriter& put_big(T value) {
        return put(Big<T>(value));
    }
    ByteWriter& put_bytes(std::span<const std::byte> bytes) {
        // Not insert(): GCC 12 at -O3 takes its way through a full vector for a write past the end.
        const std::size_t at = bytes_.size();
        bytes_.resize(at + bytes.size());
        std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(at));
        return *this;
    }
    ByteWriter& put_text(std::string_view text) {
        return put_bytes(std::as_bytes(std::span(text)));
    }
    // One length byte, then the text. The caller has made sure that it is at most 255 bytes.
    ByteWriter& put_str8(std::string_view text) {
        return put_big(static_cast<std::uint8_t>(text.size())).put_text(text);
    }

    [[nodiscard]] std::size_t size() const { return bytes_.size(); }
    [[nodiscard]] std::vector<std::byte> take_all() { return std::exchange(bytes_, {}); }

private:
    std::vector<std::byte> bytes_;
};

} // namespace mfd
