#include "qmp/files/stream_search.hpp"
#include "tests/support/byte_sources.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>

using mfd::FileOffset;
using mfd::files::find_stream;
using mfd::testing::SparseSource;

namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

// A save image whose stream begins at `stream`.
SparseSource image(std::array<std::uint32_t, 5> numbers, std::uint64_t stream,
                   std::string_view magic = "LibvirtQemudSave") {
    SparseSource file;
    file.set_size(8 << 20);
    file.put(FileOffset(0), bytes_of(magic));
    file.put(FileOffset(16), std::as_bytes(std::span(numbers)));
    file.put(FileOffset(92), bytes_of("<domain/>"));
    file.put(FileOffset(stream), bytes_of("QEVM"));
    file.set_size(8 << 20);
    return file;
}

} // namespace

TEST_CASE("a stream at the start of a file, or where it is said to be, is found",
          "[stream_search]") {
    SparseSource file;
    file.put(FileOffset(0), bytes_of("QEVM"));
    file.put(FileOffset(777), bytes_of("QEVM"));
    CHECK(find_stream(file, std::nullopt)->has_magic);
    CHECK(find_stream(file, 777)->offset == FileOffset(777));
    CHECK(find_stream(file, 777)->has_magic);
    CHECK_FALSE(find_stream(file, 778)->has_magic);
    CHECK_FALSE(find_stream(file, std::uint64_t{1} << 60)->has_magic);
    CHECK_FALSE(find_stream(file, 0xffffffffffffffff)->has_magic);
    SparseSource empty;
    CHECK_FALSE(find_stream(empty, std::nullopt)->has_magic);
}

TEST_CASE("the stream behind a libvirt header is found, aligned or not", "[stream_search]") {
    constexpr std::uint32_t kHeaderData = 67093;
    for (const std::uint64_t at :
         {std::uint64_t{92 + kHeaderData}, std::uint64_t{69632}, std::uint64_t{1} << 20}) {
        auto file = image({2, kHeaderData, 1, 6, 10}, at);
        const auto place = find_stream(file, std::nullopt);
        REQUIRE(place.has_value());
        CHECK(place->has_magic);
        CHECK(place->offset.value == at);
        REQUIRE(place->libvirt.has_value());
        CHECK(place->libvirt->complete);
        CHECK(place->libvirt->was_running);
        CHECK(place->libvirt->format_name() == "sparse");
        CHECK(place->libvirt->xml == "<domain/>");
    }
}

TEST_CASE("a header of the other byte order is read", "[stream_search]") {
    auto file = image({__builtin_bswap32(2), __builtin_bswap32(1000), 0, 0, 0}, 1092);
    const auto place = find_stream(file, std::nullopt);
    REQUIRE(place.has_value());
    CHECK(place->offset.value == 1092);
    CHECK(place->libvirt->version == 2);
}

TEST_CASE("headers that cannot be followed are told apart", "[stream_search]") {
    auto too_long = image({2, 0x7fffffff, 0, 0, 0}, 4096);
    CHECK(find_stream(too_long, std::nullopt).error().code == mfd::Errc::BadFormat);
    auto newer = image({0x01010101, 1000, 0, 0, 0}, 1092);
    CHECK(find_stream(newer, std::nullopt).error().code == mfd::Errc::Unsupported);
    auto part = image({2, 1000, 0, 9, 0}, 1092, "LibvirtQemudPart");
    const auto place = find_stream(part, std::nullopt);
    REQUIRE(place.has_value());
    CHECK_FALSE(place->libvirt->complete);
    CHECK(place->libvirt->format_name() == "format 9");
    auto compressed = image({2, 1000, 0, 1, 0}, 4 << 20);
    CHECK_FALSE(find_stream(compressed, std::nullopt)->has_magic);
}
