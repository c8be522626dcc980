// What a Linux guest says of itself for readers of its memory: the vmcoreinfo page, which the
// kernel fills when it boots (kernel/crash_core.c), lines of NAME=VALUE up to a NUL. crash and
// gdb's helpers learn from it where a kernel with a random base (KASLR) lies. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace mfd::files {

// The text, if this page is one; it lies in the page, without the NUL. Guests can forge it.
std::optional<std::string_view> vmcoreinfo_in(std::span<const std::byte> page);

// "6.1.0-53-amd64"; empty if the text does not say.
std::string_view kernel_release(std::string_view vmcoreinfo);

} // namespace mfd::files
