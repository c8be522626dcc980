// Shared by the tests of daemon/guest: backends from option text, and a directory that goes away.
#pragma once

#include "daemon/guest/memory_backend.hpp"
#include "tests/support/temp_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

namespace mfd::test {

inline constexpr std::uint64_t kPage = 4096;

inline Result<BackendProperties> properties(std::string_view text) {
    MFD_TRY(const KeyValueList list, parse_keyval(text, "qom-type"));
    return backend_properties_from_keyval(list);
}

inline Result<std::unique_ptr<MemoryBackend>> try_backend(std::string_view text,
                                                          const FdsetOpener& opener = {}) {
    MFD_TRY(auto parsed, properties(text));
    return MemoryBackend::make(std::move(parsed), opener);
}

inline std::unique_ptr<MemoryBackend> backend(std::string_view text,
                                              const FdsetOpener& opener = {}) {
    auto made = try_backend(text, opener);
    INFO(text << ": " << (made.has_value() ? "" : made.error().what));
    REQUIRE(made.has_value());
    return std::move(*made);
}

inline std::string refusal(std::string_view text, const FdsetOpener& opener = {}) {
    const auto made = try_backend(text, opener);
    return made.has_value() ? std::string("accepted") : made.error().what;
}

class ScratchDirectory : public TempFolder {
public:
    // A file of that many bytes, all of it hole.
    [[nodiscard]] std::string make_file(const char* name, std::uint64_t bytes) const {
        const UniqueFd fd(::open(file(name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(bytes)) == 0);
        return file(name);
    }
};

// Hands out duplicates of one descriptor for /dev/fdset/7 and knows no other set.
inline FdsetOpener opener_of(FdRef fd, int* wanted_flags = nullptr) {
    return [fd, wanted_flags](std::string_view path, int flags) -> Result<UniqueFd> {
        if (path != "/dev/fdset/7")
            return Error{Errc::NotFound, "Failed to find fdset " + std::string(path)};
        if (wanted_flags != nullptr)
            *wanted_flags = flags;
        return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    };
}

// Bytes that the file behind the memory takes on disk or in memory.
inline std::uint64_t file_bytes(const MemoryBackend& block) {
    struct stat status = {};
    REQUIRE(::fstat(block.fd().get(), &status) == 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

inline void fill(const MemoryBackend& block, std::uint64_t page, std::uint64_t count = 1) {
    std::memset(block.memory().data() + page * kPage, 0xa5, count * kPage);
}

inline std::vector<ByteExtent> extents(const MemoryBackend& block) {
    auto found = block.data_extents();
    REQUIRE(found.has_value());
    return *found;
}

inline bool all_zero(const MemoryBackend& block) {
    const auto memory = block.memory();
    return std::all_of(memory.begin(), memory.end(), [](std::byte b) { return b == std::byte{0}; });
}

} // namespace mfd::test
