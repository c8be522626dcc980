// Programs that compress a whole file, told by its first bytes. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace mfd::files {

struct Packing {
    std::string_view name; // of the program; libvirt calls its formats the same
    std::string_view magic;
};

std::span<const Packing> packings();
// What the file that begins so is compressed with; nullptr if it is with none of them.
const Packing* packing_of(std::span<const std::byte> head);

} // namespace mfd::files
