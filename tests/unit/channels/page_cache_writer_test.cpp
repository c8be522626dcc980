#include "channels/page_cache_writer.hpp"

#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cerrno>
#include <thread>
#include <vector>

using mfd::PageCacheWriter;
using mfd::WriteBack;
using mfd::test::TempFile;

namespace {

std::vector<std::byte> cache_pattern(std::size_t bytes, unsigned seed) {
    std::vector<std::byte> data(bytes);
    for (std::size_t at = 0; at < bytes; ++at)
        data[at] = static_cast<std::byte>(at * 7 + at / 4096 + seed);
    return data;
}

// The data in parts of uneven lengths.
std::vector<iovec> cut(std::vector<std::byte>& data) {
    std::vector<iovec> parts;
    for (std::size_t at = 0, length = 1; at < data.size();
         at += parts.back().iov_len, length += 977)
        parts.push_back({data.data() + at, std::min(length, data.size() - at)});
    return parts;
}

} // namespace

TEST_CASE("what several channels write at a time stands where it belongs", "[page_cache_writer]") {
    const auto write_back = GENERATE(WriteBack::Later, WriteBack::AtOnce);
    constexpr std::size_t kBytes = 300'001; // some pieces and a rest
    constexpr unsigned kChannels = 4;
    constexpr unsigned kEach = 8;
    const TempFile file;
    const auto fd = file.open(O_WRONLY);
    PageCacheWriter writer(write_back);
    std::vector<mfd::Result<void>> results(kChannels, mfd::Result<void>{});
    {
        std::vector<std::jthread> channels;
        for (unsigned channel = 0; channel < kChannels; ++channel)
            channels.emplace_back([&, channel] {
                for (unsigned i = 0; i < kEach && results[channel].has_value(); ++i) {
                    auto data = cache_pattern(kBytes, channel * kEach + i);
                    auto parts = cut(data);
                    results[channel] =
                        writer.write(fd.ref(), parts, (channel * kEach + i) * kBytes);
                }
            });
    }
    for (const auto& result : results)
        CHECK(result.has_value());
    for (unsigned i = 0; i < kChannels * kEach; ++i)
        CHECK(file.read(i * kBytes, kBytes) == cache_pattern(kBytes, i));
}

TEST_CASE("a failed write is reported, and the next may go", "[page_cache_writer]") {
    const TempFile file;
    PageCacheWriter writer(WriteBack::AtOnce);
    auto data = cache_pattern(100'000, 1);
    auto parts = cut(data);
    const auto refused = writer.write(file.open(O_RDONLY).ref(), parts, 0);
    REQUIRE(refused.has_error());
    CHECK(refused.error().sys == EBADF);
    parts = cut(data);
    CHECK(writer.write(file.open(O_WRONLY).ref(), parts, 0).has_value());
    CHECK(file.read(0, data.size()) == data);
}
