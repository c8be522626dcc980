// What a file system does with the same bytes when nothing but one thread stands before it.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "qmp/ctl/bench_result.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace mfd::ctl {

// Writes `bytes` (page-aligned) to a new `file` until they are on stable storage, reads them back
// into `into` from there, and removes the file. Bytes per second. Unsupported: no O_DIRECT there.
// Cancelled when `stop` becomes readable.
Result<BenchRates> measure_raw(const std::string& file, std::span<const std::byte> bytes,
                               std::span<std::byte> into, bool direct, FdRef stop);

// Brings a file out of the page cache, so that the next read is one of the device.
Result<void> drop_from_cache(const std::string& file);

// ^C or SIGTERM has come.
bool stop_wanted(FdRef stop);

} // namespace mfd::ctl
