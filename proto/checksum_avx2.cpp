// Compiled with -mavx2; called only where the processor has it.
#include "proto/checksum_kernels.hpp"

namespace mfd::checksum {

void page_checksums_avx2(const std::byte* pages, std::uint64_t count, std::uint32_t* checksums) {
    page_loop(pages, count, checksums);
}

} // namespace mfd::checksum
