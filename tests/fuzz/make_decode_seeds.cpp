// Writes the seeds of fuzz_decode into the folder named: small streams, whole and nearly so.
#include "proto/device_state.hpp"
#include "tests/support/byte_sources.hpp"
#include "tests/unit/proto/small_stream.hpp"

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<std::byte>;

void write(const std::string& path, const Bytes& bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
}

// A stream without RAM, by the encoder.
Bytes encoded_without_ram() {
    const auto plan = mfd::plan_stream(mfd::FileOffset(0), {}, {});
    Bytes bytes = mfd::encode_head(*plan).front().bytes;
    const auto globalstate = mfd::make_globalstate(3, "running");
    const auto tail = mfd::encode_tail(
        plan->head_end, {true, {*globalstate}, mfd::make_vmdescription(plan->configuration)});
    bytes.insert(bytes.end(), tail->bytes.begin(), tail->bytes.end());
    return bytes;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: make_decode_seeds FOLDER\n");
        return 1;
    }
    const std::string folder = std::string(argv[1]) + "/";
    const auto small = mfd::testing::make_small_stream();
    write(folder + "two-blocks", small.bytes);
    write(folder + "no-ram", encoded_without_ram());
    write(folder + "no-part", small.without("part", "command"));
    write(folder + "not-finished",
          Bytes(small.bytes.begin(),
                small.bytes.begin() + static_cast<std::ptrdiff_t>(small.at("end"))));
    write(folder + "bitmap-elsewhere", small.with("a_bitmap_offset", std::uint64_t{0x5000}));
    write(folder + "overlong-total", small.with("total", ~std::uint64_t{0xffb}));
    return 0;
}
