#include "proto/checksum.hpp"

#include "proto/checked.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <random>
#include <vector>

namespace {

std::vector<std::byte> random_bytes(std::size_t count) {
    std::mt19937_64 random(count);
    std::vector<std::byte> bytes(count);
    for (auto& byte : bytes)
        byte = static_cast<std::byte>(random());
    return bytes;
}

} // namespace

TEST_CASE("every kernel computes the low half of XXH3 of each page", "[checksum]") {
    const auto pages = random_bytes(7 * mfd::kPageSize);
    for (const mfd::ChecksumKernel& kernel : mfd::checksum_kernels()) {
        INFO(kernel.name);
        std::vector<std::uint32_t> checksums(7);
        kernel.page_checksums(pages.data(), 7, checksums.data());
        for (std::size_t page = 0; page < 7; ++page)
            CHECK(checksums[page] ==
                  static_cast<std::uint32_t>(mfd::checksum64(
                      std::span(pages).subspan(page * mfd::kPageSize, mfd::kPageSize))));
    }
}

TEST_CASE("checksums are those of the xxhsum program", "[checksum]") {
    CHECK(mfd::zero_page_checksum() == 0x48c689ba);
    CHECK(mfd::checksum64(std::vector<std::byte>(4096)) == 0x93d76fe148c689ba);
    CHECK(mfd::checksum64({}) == 0x2d06800538d394c2);
}

TEST_CASE("bytes in pieces have the checksum of the whole", "[checksum]") {
    const auto bytes = random_bytes(3000);
    const auto piece = GENERATE(std::size_t{1}, 7, 255, 256, 1023, 2999, 3000);
    mfd::Checksum64 checksum;
    for (std::size_t at = 0; at < bytes.size(); at += piece)
        checksum.add(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    CHECK(checksum.value() == mfd::checksum64(bytes));
}
