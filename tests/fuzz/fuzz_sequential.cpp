// Any bytes as an ordinary stream. What is handed on has to lie inside the blocks that were
// announced, and what is refused has to say where.
#include "proto/sequential.hpp"
#include "tests/support/sequential_stream.hpp"

#include <cstdint>
#include <cstdlib>
#include <span>

// libFuzzer's name. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    mfd::DecodeLimits limits;
    limits.ram_bytes = std::uint64_t{1} << 32; // the sink keeps a byte for each page
    mfd::testing::MemoryStream in(std::as_bytes(std::span(data, size)));
    mfd::testing::MemorySink sink; // throws on a page outside of its block
    const auto stream = mfd::decode_sequential(in, sink, limits);
    if (stream.has_error() && stream.error().what.find("at 0x") == std::string::npos)
        std::abort();
    if (stream.has_value() && stream->stream_bytes > size)
        std::abort();
    return 0;
}
