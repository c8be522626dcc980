// The frame of an ELF core file (64-bit, x86-64) around guest memory, as gdb, crash and readelf
// read one: a PT_LOAD segment for each range, physical and virtual address both the guest-physical
// one, and a note with a register set of zeros, which some readers insist on. Pure.
// What the guest's kernel says of itself can follow as a second note.
#pragma once

#include "proto/checked.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mfd::files {

struct CoreSegment {
    std::uint64_t address = 0;
    std::uint64_t bytes = 0;
};

struct CoreFrame {
    std::vector<std::byte> head;      // from the start of the file
    std::vector<FileOffset> segments; // where the bytes of each go; multiples of the page
    std::uint64_t length = 0;         // of the file
};

// At most 65 000 segments; their sum is bounded by the caller.
CoreFrame plan_core(std::span<const CoreSegment> segments);

// Puts a note VMCOREINFO of at most a page into the head, as kdump has it; segments stay where they
// are. Of a frame with segments.
void add_vmcoreinfo(CoreFrame& frame, std::string_view text);

} // namespace mfd::files
