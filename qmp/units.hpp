// Sizes, rates and times as people write and read them. Pure functions.
#pragma once

#include "proto/error.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace mfd {

// "4096", "64K", "1.5G", "0x1000"; suffixes B K M G T P E in either case, powers of 1024, with an
// optional "iB" as format_bytes() writes it.
Result<std::uint64_t> parse_size(std::string_view text);
// The same per second: "64M", "64MiB/s".
Result<std::uint64_t> parse_rate(std::string_view text);
// "300", "300ms", "1.5s", "2min", as format_time() writes it below a minute; in milliseconds.
Result<std::chrono::milliseconds> parse_time(std::string_view text);

std::string format_bytes(std::uint64_t bytes);      // "512 B", "1.50 GiB"
std::string format_rate(double bytes_per_second);   // "1.50 GiB/s"
std::string format_time(std::chrono::milliseconds); // "12 ms", "1.30 s", "3:05", "2:03:05"
std::string format_count(std::uint64_t count);      // "1 234 567"

} // namespace mfd
