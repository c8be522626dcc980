// Integers as the stream has them: unsigned, big-endian, without alignment. Wire structs are made
// of these and of bytes alone, so that they can be copied from and to a file as they are.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mfd {

template <std::unsigned_integral T>
class Big {
public:
    constexpr Big() = default;
    constexpr Big(T value) { // implicit, as between integers of one width
        for (std::size_t i = sizeof(T); i-- > 0;) {
            bytes_[i] = static_cast<std::byte>(value & 0xff);
            if constexpr (sizeof(T) > 1)
                value = static_cast<T>(value >> 8);
        }
    }
    [[nodiscard]] constexpr T get() const {
        T value = 0;
        for (const std::byte byte : bytes_) {
            if constexpr (sizeof(T) > 1)
                value = static_cast<T>(value << 8);
            value = static_cast<T>(value | std::to_integer<T>(byte));
        }
        return value;
    }
    constexpr bool operator==(const Big&) const = default;

private:
    std::array<std::byte, sizeof(T)> bytes_{};
};

static_assert(sizeof(Big<std::uint64_t>) == 8 && alignof(Big<std::uint64_t>) == 1);

} // namespace mfd
