// What the emulated guest writes into a page, and how to tell afterwards whether a page is whole.
//
//   bytes   content (little-endian 64-bit words)
//   0       magic, "MFDPAGE1"
//   8       page number in its block
//   16      generation: the number of this write among its thread's, from 1 (later ones are higher)
//   24      seed of the workload
//   32      checksum over the words before it and after it
//   40      filling, made from seed, page number and generation
//
// Pure functions; fill_page() may write beside a reader (a save in progress) by design.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mfd {

inline constexpr std::uint64_t kWorkloadPageMagic = 0x314547415044464d; // "MFDPAGE1"

struct WorkloadPage {
    std::uint64_t page = 0;
    std::uint64_t generation = 0;
    std::uint64_t seed = 0; // of the workload
    bool operator==(const WorkloadPage&) const = default;
};

enum class PageState : std::uint8_t {
    Zero,    // nothing but zeros
    Whole,   // exactly what fill_page() wrote for its header
    Damaged, // neither: torn, misplaced or foreign
};

struct PageVerdict {
    PageState state = PageState::Damaged;
    WorkloadPage content; // of a whole page
};

// Both take exactly one page of 4096 bytes.
void fill_page(std::span<std::byte> page, const WorkloadPage& content);
void zero_page(std::span<std::byte> page);

// `page_number` is where the page stands; a page that says otherwise is damaged.
[[nodiscard]] PageVerdict verify_page(std::span<const std::byte> page, std::uint64_t page_number);

} // namespace mfd
