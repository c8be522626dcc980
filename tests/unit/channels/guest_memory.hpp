// Memory of a pretended guest: a memfd with seeded random content in runs of data, zero and holes.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/checked.hpp"
#include "proto/page_bitmap.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/stat.h>

namespace mfd::test {

class GuestMemory {
public:
    explicit GuestMemory(std::uint64_t pages)
        : pages_(pages), fd_(::memfd_create("mfd-test", MFD_CLOEXEC)) {
        REQUIRE(::ftruncate(fd_.get(), static_cast<off_t>(bytes())) == 0);
        void* mapped = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
        REQUIRE(mapped != MAP_FAILED);
        base_ = static_cast<std::byte*>(mapped);
    }
    ~GuestMemory() { ::munmap(base_, bytes()); }
    GuestMemory(const GuestMemory&) = delete;
    GuestMemory& operator=(const GuestMemory&) = delete;

    [[nodiscard]] std::byte* base() { return base_; }
    [[nodiscard]] std::byte* page(std::uint64_t index) { return base_ + index * kPageSize; }
    [[nodiscard]] std::uint64_t pages() const { return pages_; }
    [[nodiscard]] std::uint64_t bytes() const { return pages_ * kPageSize; }
    [[nodiscard]] std::uint64_t allocated_pages() const {
        struct stat info {};
        REQUIRE(::fstat(fd_.get(), &info) == 0);
        return static_cast<std::uint64_t>(info.st_blocks) * 512 / kPageSize;
    }

    // A single byte somewhere makes a page data: the hardest case for a zero test.
    void fill_page(std::uint64_t index, std::mt19937_64& random) {
        page(index)[random() % kPageSize] = std::byte{1} | static_cast<std::byte>(random());
    }
    void fill(PageRun run, std::mt19937_64& random) {
        for (std::uint64_t index = run.first; index < run.end(); ++index)
            fill_page(index, random);
    }
    void clear(PageRun run) { std::memset(page(run.first), 0, run.count * kPageSize); }

    // Runs of 1..longest pages of data, touched zeros and holes by turns; returns all but the
    // holes.
    std::vector<PageRun> fill_runs(std::uint64_t longest, std::mt19937_64& random) {
        std::vector<PageRun> touched;
        for (std::uint64_t at = 0; at < pages_;) {
            const std::uint64_t count = std::min(1 + random() % longest, pages_ - at);
            const PageRun run{at, count};
            const auto kind = random() % 3;
            if (kind == 0)
                fill(run, random);
            else if (kind == 1)
                clear(run);
            if (kind != 2 && !touched.empty() && touched.back().end() == at)
                touched.back().count += count;
            else if (kind != 2)
                touched.push_back(run);
            at += count;
        }
        return touched;
    }

private:
    std::uint64_t pages_;
    UniqueFd fd_;
    std::byte* base_ = nullptr;
};

// A byte at a time, on purpose: what the vectorised test is checked against.
inline bool is_zero_naive(const std::byte* page) {
    for (std::uint64_t at = 0; at < kPageSize; ++at)
        if (page[at] != std::byte{0})
            return false;
    return true;
}

} // namespace mfd::test
