// What `bench` has measured, and how it is shown: as a table, a plot and a sentence. Pure
// functions.
#pragma once

#include "qmp/json.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace mfd::ctl {

// Bytes per second of guest memory; 0: not measured.
struct BenchRates {
    double save = 0;    // until the file is on stable storage
    double restore = 0; // of a file that is not in the page cache
};

struct BenchRow {
    unsigned channels = 1;
    bool direct = false;
    BenchRates rates;
};

struct BenchResult {
    std::string folder;
    std::string file_system; // "ext4"
    std::uint64_t guest_bytes = 0;
    unsigned rounds = 0;
    bool has_direct = false; // O_DIRECT works there
    // One thread, large pieces, no format: the same bytes written and read.
    BenchRates raw_direct;
    BenchRates raw_buffered;
    std::vector<BenchRow> rows; // by channels, direct before buffered
};

// What to set for this file system.
struct BenchAdvice {
    unsigned channels = 1;
    bool direct = false;
    std::string sentence;
};
BenchAdvice bench_advice(const BenchResult& result);

std::string bench_table(const BenchResult& result);
std::string bench_svg(const BenchResult& result);
qmp::Json bench_json(const BenchResult& result);

} // namespace mfd::ctl
