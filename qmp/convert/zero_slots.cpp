#include "qmp/convert/zero_slots.hpp"

#include "channels/file_io.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

namespace mfd::convert {

Result<void> zero_slots(FdRef file, const BlockLayout& layout, PageRun run) {
    const std::uint64_t at = layout.slot(PageIndex(run.first)).value;
    const int refused = punch_hole(file, at, run.count * kPageSize);
    if (refused == 0)
        return {};
    if (refused != EOPNOTSUPP && refused != ENOSYS)
        return make_sys_error("punch a hole at " + std::to_string(at), refused);
    constexpr std::array<std::byte, 16 * kPageSize> kZeros{};
    for (std::uint64_t done = 0; done < run.count * kPageSize;) {
        const std::uint64_t bytes =
            std::min<std::uint64_t>(kZeros.size(), run.count * kPageSize - done);
        MFD_CHECK(write_all_at(file, std::span(kZeros).first(bytes), at + done));
        done += bytes;
    }
    return {};
}

} // namespace mfd::convert
