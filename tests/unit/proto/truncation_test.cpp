#include "proto/decode.hpp"
#include "tests/support/byte_sources.hpp"
#include "tests/unit/proto/small_stream.hpp"

#include <catch2/catch_test_macros.hpp>

#include <span>

using mfd::FileOffset;

TEST_CASE("a stream cut at any length is refused, with the place", "[decode]") {
    const auto stream = mfd::testing::make_small_stream();
    std::size_t accepted = 0;
    std::size_t without_place = 0;
    for (std::size_t length = 0; length < stream.bytes.size(); ++length) {
        mfd::testing::MemorySource source(std::span(stream.bytes).first(length));
        const auto decoded = mfd::decode_stream(source, FileOffset(0));
        accepted += decoded.has_value() ? 1U : 0U;
        if (decoded.has_error() && decoded.error().what.find(", at 0x") == std::string::npos)
            ++without_place;
    }
    CHECK(accepted == 0);
    CHECK(without_place == 0);
}

TEST_CASE("a stream of known devices may end at its end mark, and nowhere else", "[decode]") {
    // No early device and no "dev": what is left can be walked without a vmdescription.
    auto stream = mfd::testing::make_small_stream();
    stream.bytes.resize(stream.at("vmdesc_mark"));
    const std::size_t early_bytes = stream.at("part") - stream.at("early");
    const std::size_t dev_bytes = stream.at("end_mark") - stream.at("dev");
    stream.bytes = stream.without("dev", "end_mark");
    stream.bytes = stream.without("early", "part");
    CHECK(stream.bytes.size() == stream.at("vmdesc_mark") - early_bytes - dev_bytes);

    mfd::testing::MemorySource whole(stream.bytes);
    CHECK(mfd::decode_stream(whole, FileOffset(0)).has_value());
    std::size_t accepted = 0;
    for (std::size_t length = 0; length < stream.bytes.size(); ++length) {
        mfd::testing::MemorySource source(std::span(stream.bytes).first(length));
        accepted += mfd::decode_stream(source, FileOffset(0)).has_value() ? 1U : 0U;
    }
    CHECK(accepted == 0);
}

TEST_CASE("a flipped bit anywhere never makes the decoder read outside or crash", "[decode]") {
    const auto stream = mfd::testing::make_small_stream();
    std::size_t decoded = 0;
    for (std::size_t place = 0; place < stream.bytes.size(); ++place) {
        auto bytes = stream.bytes;
        bytes[place] ^= std::byte{1} << (place % 8);
        mfd::testing::MemorySource source(bytes); // throws on a read outside
        decoded += mfd::decode_stream(source, FileOffset(0)).has_value() ? 1U : 0U;
    }
    CHECK(decoded >= 0x4000); // the pages at least, which the decoder does not read
    CHECK(decoded < stream.bytes.size());
}
