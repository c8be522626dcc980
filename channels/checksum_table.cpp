#include "channels/checksum_table.hpp"

#include "proto/trailer.hpp"

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include <sys/mman.h>

namespace mfd {

void ChecksumTable::Unmap::operator()(std::uint32_t* entries) const {
    ::munmap(entries, bytes);
}

Result<ChecksumTable> ChecksumTable::make(std::uint64_t pages) {
    const auto bytes = checked_round_up(pages * sizeof(std::uint32_t), kTrailerUnit);
    void* memory =
        ::mmap(nullptr, std::max(bytes.value_or(0), kTrailerUnit), PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) // NOLINT(performance-no-int-to-ptr): the kernel's constant
        return make_sys_error("map memory for the checksums of " + std::to_string(pages) + " pages",
                              errno);
    return ChecksumTable(Entries(static_cast<std::uint32_t*>(memory),
                                 Unmap{std::max(bytes.value_or(0), kTrailerUnit)}));
}

Result<void> ChecksumTable::write(MigrationFile& file, std::uint64_t offset,
                                  const PageBitmap& pages, std::uint64_t& written) const {
    const auto unit_of = [](std::uint64_t page) { return page / kChecksumsPerUnit; };
    auto run = pages.next_set_run(0, pages.pages());
    while (run) {
        // Units that follow each other go in one write.
        const std::uint64_t first = unit_of(run->first);
        std::uint64_t end = first;
        while (run && unit_of(run->first) <= end) {
            end = unit_of(run->end() - 1) + 1;
            run =
                pages.next_set_run(std::min(end * kChecksumsPerUnit, pages.pages()), pages.pages());
        }
        const auto bytes = std::as_bytes(std::span(entries_.get() + first * kChecksumsPerUnit,
                                                   (end - first) * kChecksumsPerUnit));
        MFD_CHECK(file.write_meta(bytes, offset + first * kTrailerUnit));
        written += bytes.size();
    }
    return {};
}

} // namespace mfd
