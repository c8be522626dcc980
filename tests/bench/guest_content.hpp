// Guest memory with a content worth measuring.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/page_bitmap.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mfd::bench {

enum class Content : std::uint8_t {
    Data,      // every page
    Half,      // every second page, the others touched zeros
    Runs,      // runs of 1..256 pages, 70 % of the pages touched zeros
    Zero,      // touched zeros
    Untouched, // holes
};

class GuestContent {
public:
    GuestContent(Content content, std::uint64_t bytes);
    ~GuestContent();
    GuestContent(const GuestContent&) = delete;
    GuestContent& operator=(const GuestContent&) = delete;

    [[nodiscard]] std::byte* base() { return base_; }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    // What the memory's file system says is no hole.
    [[nodiscard]] std::vector<PageRun> extents() const;
    [[nodiscard]] std::uint64_t checksum() const;
    // Maps anew, so that the page tables are empty again.
    void remap();

private:
    UniqueFd fd_;
    std::uint64_t bytes_;
    std::byte* base_ = nullptr;
};

} // namespace mfd::bench
