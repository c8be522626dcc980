#include "guest_content.hpp"

#include "proto/checked.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include <sys/mman.h>

namespace mfd::bench {

namespace {

void fill_page(std::byte* page, std::mt19937_64& random) {
    for (std::uint64_t at = 0; at < kPageSize; at += sizeof(std::uint64_t)) {
        const std::uint64_t word = random();
        std::memcpy(page + at, &word, sizeof word);
    }
}

void fill(std::byte* base, std::uint64_t pages, Content content) {
    std::mt19937_64 random(1);
    if (content == Content::Untouched)
        return;
    for (std::uint64_t page = 0; page < pages;) {
        std::uint64_t count = 1;
        bool data = content == Content::Data || (content == Content::Half && page % 2 == 0);
        if (content == Content::Runs) {
            data = random() % 10 < 3;
            count = std::min(1 + random() % 256, pages - page);
        }
        for (; count != 0; --count, ++page) {
            if (data)
                fill_page(base + page * kPageSize, random);
            else
                std::memset(base + page * kPageSize, 0, kPageSize);
        }
    }
}

} // namespace

GuestContent::GuestContent(Content content, std::uint64_t bytes)
    : fd_(::memfd_create("bench", MFD_CLOEXEC)), bytes_(bytes) {
    if (!fd_.valid() || ::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0)
        std::abort();
    remap();
    fill(base_, bytes / kPageSize, content);
}

GuestContent::~GuestContent() {
    ::munmap(base_, bytes_);
}

void GuestContent::remap() {
    if (base_ != nullptr)
        ::munmap(base_, bytes_);
    void* mapped = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (mapped == MAP_FAILED) // NOLINT(performance-no-int-to-ptr): the system's constant
        std::abort();
    base_ = static_cast<std::byte*>(mapped);
}

std::vector<PageRun> GuestContent::extents() const {
    std::vector<PageRun> found;
    for (off_t at = 0;;) {
        const off_t data = ::lseek(fd_.get(), at, SEEK_DATA);
        if (data < 0)
            return found;
        at = ::lseek(fd_.get(), data, SEEK_HOLE);
        const auto first = static_cast<std::uint64_t>(data) / kPageSize;
        found.push_back({first, static_cast<std::uint64_t>(at) / kPageSize - first});
    }
}

std::uint64_t GuestContent::checksum() const {
    std::uint64_t sum = 0;
    for (std::uint64_t at = 0; at < bytes_; at += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, base_ + at, sizeof word);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15;
    }
    return sum;
}

} // namespace mfd::bench
