// Arithmetic that cannot wrap, and integers that cannot be mixed up.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

namespace mfd {

[[nodiscard]] constexpr std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
    std::uint64_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum))
        return std::nullopt;
    return sum;
}

[[nodiscard]] constexpr std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) {
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(a, b, &product))
        return std::nullopt;
    return product;
}

// Smallest multiple of `unit` (not 0) that is not below `value`; nothing if it does not fit.
[[nodiscard]] constexpr std::optional<std::uint64_t> checked_round_up(std::uint64_t value,
                                                                      std::uint64_t unit) {
    const std::uint64_t rest = value % unit;
    return rest == 0 ? std::optional(value) : checked_add(value, unit - rest);
}

// A 64-bit count that only compares and adds with its own kind.
template <class Tag>
struct StrongU64 {
    std::uint64_t value = 0;

    constexpr StrongU64() = default;
    constexpr explicit StrongU64(std::uint64_t v) : value(v) {}
    // clang-tidy 14 takes the comparison made here for a null pointer.
    constexpr auto operator<=>(const StrongU64&) const = default; // NOLINT(modernize-use-nullptr)
    constexpr StrongU64 operator+(std::uint64_t n) const { return StrongU64(value + n); }
};

using FileOffset = StrongU64<struct FileOffsetTag>;   // bytes from the start of the file
using BlockOffset = StrongU64<struct BlockOffsetTag>; // bytes from the start of a RAM block
using PageIndex = StrongU64<struct PageIndexTag>;     // pages from the start of a RAM block

// QEMU's page size on x86-64; the stream knows no other here (stream-format, section 1).
inline constexpr std::uint64_t kPageSize = 4096;

} // namespace mfd
