#include "qmp/files/hex_dump.hpp"

#include <catch2/catch_test_macros.hpp>

#include <vector>

using mfd::files::HexDump;

namespace {

std::vector<std::byte> letters(std::size_t count) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < count; ++i)
        bytes.push_back(static_cast<std::byte>('a' + i % 26));
    return bytes;
}

} // namespace

TEST_CASE("bytes are shown as hexdump -C does", "[hex_dump]") {
    HexDump dump(0x1000);
    auto bytes = letters(16);
    bytes[1] = std::byte{0};
    bytes[2] = std::byte{0x7f};
    bytes[3] = std::byte{0xff};
    CHECK(dump.add(bytes) ==
          "00001000  61 00 7f ff 65 66 67 68  69 6a 6b 6c 6d 6e 6f 70  |a...efghijklmnop|\n");
    CHECK(dump.end() == "00001010\n");
}

TEST_CASE("of equal lines the first is shown, also across pieces and zeros", "[hex_dump]") {
    HexDump dump(0);
    const std::vector<std::byte> zeros(32);
    CHECK(dump.add(zeros) ==
          "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n");
    CHECK(dump.add(zeros).empty());
    CHECK(dump.add_zeros(std::uint64_t{1} << 40).empty());
    CHECK(dump.add(letters(16)).substr(0, 15) == "10000000040  61");
    CHECK(dump.add_zeros(16).substr(0, 11) == "10000000050");
    CHECK(dump.add_zeros(16) == "*\n");
    CHECK(dump.end() == "10000000070\n");
}

TEST_CASE("many zeros are said in two lines", "[hex_dump]") {
    HexDump dump(0);
    CHECK(dump.add_zeros(1 << 20) ==
          "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n");
    CHECK(dump.end() == "00100000\n");
}
