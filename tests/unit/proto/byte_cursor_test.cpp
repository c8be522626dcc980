#include "proto/byte_cursor.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <vector>

using mfd::Big;

namespace {

template <class... B>
std::vector<std::byte> bytes(B... values) {
    return {static_cast<std::byte>(values)...};
}

} // namespace

TEST_CASE("integers are written with the most significant byte first", "[byte_cursor]") {
    mfd::ByteWriter out;
    out.put_big(std::uint8_t{0xab}).put_big(std::uint16_t{0x0102});
    out.put_big(std::uint32_t{0x03040506}).put_big(std::uint64_t{0x0708090a0b0c0d0e});
    out.put_str8("hi");
    CHECK(out.take_all() ==
          bytes(0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 2, 'h', 'i'));
    CHECK(out.size() == 0);
}

TEST_CASE("an integer comes back from its bytes", "[byte_cursor]") {
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x80},
                                      std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
        CHECK(Big<std::uint64_t>(value).get() == value);
        CHECK(Big<std::uint32_t>(static_cast<std::uint32_t>(value)).get() ==
              static_cast<std::uint32_t>(value));
        CHECK(Big<std::uint8_t>(static_cast<std::uint8_t>(value)).get() ==
              static_cast<std::uint8_t>(value));
    }
}

TEST_CASE("a cursor gives what is there and stays where it is otherwise", "[byte_cursor]") {
    const auto data = bytes(0, 1, 2, 3, 4);
    mfd::ByteCursor cursor(data);
    CHECK(cursor.take_big<std::uint32_t>() == 0x00010203U);
    CHECK(cursor.left() == 1);
    CHECK(cursor.take_big<std::uint16_t>() == std::nullopt);
    CHECK_FALSE(cursor.take_bytes(2).has_value());
    CHECK_FALSE(cursor.take_bytes(~std::size_t{0}).has_value());
    CHECK(cursor.position() == 4);
    CHECK(cursor.take_big<std::uint8_t>() == std::uint8_t{4});
    CHECK(cursor.take_bytes(0)->empty());
    CHECK(cursor.left() == 0);
}
