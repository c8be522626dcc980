// How the errors of the format speak of things in a file.
#pragma once

#include "proto/checked.hpp"
#include "proto/error.hpp"

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

namespace mfd {

// "0x1f00"
std::string hex(std::uint64_t value);

// A name out of a file, fit to be shown: control and non-ASCII bytes as \xNN, long ones cut.
std::string printable(std::string_view name);
// A path of this machine, whole and in UTF-8 as it is; control characters as \xNN.
std::string printable_path(std::string_view path);

// BadFormat with "what, at 0xOFFSET"; `sys` is the errno in QEMU's "load of migration failed".
Error format_error(std::string what, FileOffset at, int sys = EINVAL);

// What cannot stand in a stream as the name of a block, device or capability, as a reason ("is
// empty"); empty if the name is fine. QEMU reads names as C strings, so a 0 byte would cut them.
std::string_view name_fault(std::string_view name);

} // namespace mfd
