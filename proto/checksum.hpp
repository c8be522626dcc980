// The checksums that a file of ours carries: XXH3, 64 bits of it for metadata, the low 32 for each
// page. Measured on 4 KiB pages: as fast as CRC32C with vector multiplication (both read memory at
// its own pace, 23 GiB/s a thread; in the cache XXH3 takes 75 ns a page, CRC32C 88), and one
// library for both. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace mfd {

// Of each of `count` pages from `pages` on. A page that is written to meanwhile has any checksum.
void page_checksums(const std::byte* pages, std::uint64_t count, std::uint32_t* checksums);

// Of a page of zeros.
std::uint32_t zero_page_checksum();

std::uint64_t checksum64(std::span<const std::byte> bytes);

// The same, of bytes that come in pieces.
class Checksum64 {
public:
    Checksum64();
    ~Checksum64();
    Checksum64(Checksum64&&) noexcept;
    Checksum64& operator=(Checksum64&&) noexcept;

    void add(std::span<const std::byte> bytes);
    [[nodiscard]] std::uint64_t value() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

// The ways to compute page_checksums() on this processor, the one in use first. For tests and
// benchmarks.
struct ChecksumKernel {
    const char* name;
    void (*page_checksums)(const std::byte* pages, std::uint64_t count, std::uint32_t* checksums);
};
const std::vector<ChecksumKernel>& checksum_kernels();

} // namespace mfd
