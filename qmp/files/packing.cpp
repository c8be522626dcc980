#include "qmp/files/packing.hpp"

#include <algorithm>
#include <array>

namespace mfd::files {

namespace {

using namespace std::literals;

constexpr std::array<Packing, 5> kPackings{{
    {"gzip", "\x1f\x8b"sv},
    {"zstd", "\x28\xb5\x2f\xfd"sv},
    {"bzip2", "BZh"sv},
    {"xz", "\xfd"
           "7zXZ\0"sv},
    {"lzop", "\x89LZO\0"sv},
}};

} // namespace

std::span<const Packing> packings() {
    return kPackings;
}

const Packing* packing_of(std::span<const std::byte> head) {
    const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
    const auto* const found = std::ranges::find_if(
        kPackings, [&](const Packing& packing) { return text.starts_with(packing.magic); });
    return found == kPackings.end() ? nullptr : found;
}

} // namespace mfd::files
