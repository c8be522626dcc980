#include "channels/zero_page.hpp"

#include "guest_memory.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

using mfd::kPageSize;
using mfd::test::GuestMemory;

TEST_CASE("every kernel finds a single set bit anywhere in a page", "[zero_page]") {
    GuestMemory memory(1);
    std::byte* page = memory.base();
    for (const mfd::ZeroKernel& kernel : mfd::zero_kernels()) {
        INFO(kernel.name);
        CHECK(kernel.is_zero(page));
        std::uint64_t missed = 0;
        for (std::uint64_t at = 0; at < kPageSize; ++at) {
            page[at] = std::byte{0x10};
            missed += kernel.is_zero(page) ? 1 : 0;
            page[at] = std::byte{0};
        }
        CHECK(missed == 0);
    }
}

TEST_CASE("a kernel looks at its page alone", "[zero_page]") {
    GuestMemory memory(3);
    memory.page(0)[kPageSize - 1] = std::byte{1};
    memory.page(2)[0] = std::byte{1};
    for (const mfd::ZeroKernel& kernel : mfd::zero_kernels())
        CHECK(kernel.is_zero(memory.page(1)));
}

TEST_CASE("counted runs are those of a byte-by-byte walk", "[zero_page]") {
    GuestMemory memory(700);
    std::mt19937_64 random(5);
    memory.fill_runs(20, random);
    for (std::uint64_t first = 0; first < memory.pages(); ++first) {
        const std::uint64_t limit = std::min<std::uint64_t>(memory.pages() - first, 30);
        std::uint64_t zero = 0;
        while (zero < limit && mfd::test::is_zero_naive(memory.page(first + zero)))
            ++zero;
        std::uint64_t data = 0;
        while (data < limit && !mfd::test::is_zero_naive(memory.page(first + data)))
            ++data;
        REQUIRE(mfd::count_zero_pages(memory.page(first), limit) == zero);
        REQUIRE(mfd::count_data_pages(memory.page(first), limit) == data);
    }
}
