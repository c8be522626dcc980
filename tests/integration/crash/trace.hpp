// What faultfs noted of a save ("trace FILE"), narrowed down to the one file that the save wrote.
#pragma once

#include "proto/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mfd::crash {

enum class OpKind : std::uint8_t {
    Write,
    Truncate, // to the length `offset`
    Punch,    // a hole: zeros, the length stays
    Allocate, // the length grows, if need be
    Sync,     // all before it is on stable storage
    Named,    // the file got its name
    NameSync, // the name is on stable storage
};

struct Op {
    OpKind kind = OpKind::Sync;
    std::uint64_t offset = 0; // in the file, in bytes
    std::uint64_t length = 0; // bytes
    std::vector<std::byte> data{};

    [[nodiscard]] bool changes_data() const { return kind <= OpKind::Allocate; }
    [[nodiscard]] std::uint64_t end() const { return offset + length; }
};

// The operations on the file that is called `target` ("/guest.mig") when the trace ends, also those
// from before it was renamed to that, in the order in which they were completed. `existed`: a file
// was called so before, which is then the one that was written.
Result<std::vector<Op>> read_trace(const std::string& path, const std::string& target,
                                   bool existed);

} // namespace mfd::crash
