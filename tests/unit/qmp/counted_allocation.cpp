#include "counted_allocation.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#include <malloc.h>

namespace {

std::atomic<std::size_t> allocated{0};
std::atomic<std::size_t> peak{0};

void* counted(std::size_t size) {
    void* const memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr)
        throw std::bad_alloc();
    const std::size_t bytes = ::malloc_usable_size(memory);
    const std::size_t now = allocated.fetch_add(bytes) + bytes;
    // One thread allocates in these tests; another's peak in between would only be missed.
    if (now > peak.load())
        peak.store(now);
    return memory;
}

void uncounted(void* memory) noexcept {
    if (memory != nullptr)
        allocated.fetch_sub(::malloc_usable_size(memory));
    std::free(memory);
}

} // namespace

void* operator new(std::size_t size) {
    return counted(size);
}
void* operator new[](std::size_t size) {
    return counted(size);
}
void operator delete(void* memory) noexcept {
    uncounted(memory);
}
void operator delete[](void* memory) noexcept {
    uncounted(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    uncounted(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    uncounted(memory);
}

namespace mfd::qmp {

std::size_t start_peak() {
    peak.store(allocated.load());
    return allocated.load();
}

std::size_t peak_bytes() {
    return peak.load();
}

} // namespace mfd::qmp
