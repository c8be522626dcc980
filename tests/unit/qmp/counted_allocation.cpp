#include "counted_allocation.hpp"

#include "tests/support/sanitizers.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#include <malloc.h>

#if MFD_TSAN
#include <sanitizer/allocator_interface.h>
#endif

namespace {

// Not from zero: under ThreadSanitizer counting begins when something may be freed already.
std::atomic<std::size_t> allocated{std::size_t{1} << 40};
std::atomic<std::size_t> peak{0};

void note_new(std::size_t bytes) {
    const std::size_t now = allocated.fetch_add(bytes) + bytes;
    // One thread allocates in these tests; another's peak in between would only be missed.
    if (now > peak.load())
        peak.store(now);
}

} // namespace

#if MFD_TSAN

// ThreadSanitizer's runtime has operators new and delete of its own, and hooks for who counts.
namespace {

void on_malloc(const volatile void* /*memory*/, std::size_t size) {
    note_new(size);
}

void on_free(const volatile void* memory) {
    allocated.fetch_sub(__sanitizer_get_allocated_size(memory));
}

void begin_counting() {
    static const bool installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0;
    if (!installed)
        std::abort();
}

} // namespace

#else

namespace {

void begin_counting() {}

void* counted(std::size_t size) {
    void* const memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr)
        throw std::bad_alloc();
    note_new(::malloc_usable_size(memory));
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

#endif

namespace mfd::qmp {

std::size_t start_peak() {
    begin_counting();
    peak.store(allocated.load());
    return allocated.load();
}

std::size_t peak_bytes() {
    return peak.load();
}

} // namespace mfd::qmp
