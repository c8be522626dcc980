// Memory for pages that are read from a file: aligned as the tests for zero pages want it.
#pragma once

#include "proto/checked.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

namespace mfd::files {

class PageBuffer {
public:
    // Throws std::bad_alloc.
    explicit PageBuffer(std::uint64_t pages)
        : memory_(new (std::align_val_t{kPageSize}) std::byte[pages * kPageSize]), pages_(pages) {}

    [[nodiscard]] std::uint64_t pages() const { return pages_; }
    [[nodiscard]] std::span<std::byte> first(std::uint64_t pages) const {
        return {memory_.get(), pages * kPageSize};
    }
    [[nodiscard]] std::byte* page(std::uint64_t index) const {
        return memory_.get() + index * kPageSize;
    }

private:
    struct Free {
        void operator()(std::byte* memory) const {
            ::operator delete[](memory, std::align_val_t{kPageSize});
        }
    };
    std::unique_ptr<std::byte[], Free> memory_;
    std::uint64_t pages_;
};

} // namespace mfd::files
