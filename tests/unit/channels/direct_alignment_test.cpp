#include "channels/direct_alignment.hpp"

#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

using mfd::UniqueFd;

namespace {

// Memory is no file system that statx(2) knows an alignment of, so it is tried out.
UniqueFd file_in_memory(unsigned flags) {
    return UniqueFd(::memfd_create("direct_alignment_test", MFD_CLOEXEC | flags));
}

off_t length_of(const UniqueFd& fd) {
    struct stat info {};
    REQUIRE(::fstat(fd.get(), &info) == 0);
    return info.st_size;
}

} // namespace

TEST_CASE("where the file system does not say, the smallest transfer that works is the alignment",
          "[direct_alignment]") {
    const auto fd = file_in_memory(0);
    REQUIRE(::ftruncate(fd.get(), 70'000) == 0);
    const auto save = mfd::ask_save_alignment(fd.ref(), 5000, 70'000);
    REQUIRE(save.has_value());
    CHECK(save->memory_bytes == 4096);
    CHECK(save->offset_bytes == 4096);
    CHECK(length_of(fd) == 70'000);
    const auto load = mfd::ask_load_alignment(fd.ref());
    REQUIRE(load.has_value());
    CHECK(load->memory_bytes == 4096);
    CHECK(load->offset_bytes == 4096);
}

TEST_CASE("a try of direct I/O leaves what stands before the stream alone", "[direct_alignment]") {
    const auto fd = file_in_memory(0);
    const std::byte mark{7};
    REQUIRE(mfd::write_all_at(fd.ref(), {&mark, 1}, 99).has_value());
    REQUIRE(mfd::ask_save_alignment(fd.ref(), 100, 100).has_value());
    std::byte back{};
    REQUIRE(mfd::read_all_at(fd.ref(), {&back, 1}, 99).has_value());
    CHECK(back == mark);
    CHECK(length_of(fd) == 100);
}

TEST_CASE("a file that refuses every length offers no direct I/O", "[direct_alignment]") {
    const auto fd = file_in_memory(MFD_HUGETLB); // write(2) is always EINVAL there
    if (!fd.valid())
        SKIP("no hugetlb memory: " << std::generic_category().message(errno));
    const auto refused = mfd::ask_save_alignment(fd.ref(), 0, 0);
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == mfd::Errc::Unsupported);
    CHECK(refused.error().what == "the file does not offer direct I/O (O_DIRECT), although it "
                                  "could be opened for it");
}

TEST_CASE("a try that fails for another reason says so", "[direct_alignment]") {
    const UniqueFd folder(::open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(folder.valid());
    const auto refused = mfd::ask_load_alignment(folder.ref());
    REQUIRE(refused.has_error());
    CHECK(refused.error().what == "try direct I/O: Is a directory");
    CHECK(mfd::ask_save_alignment(file_in_memory(0).ref(), INT64_MAX, 0).error().what ==
          "the file offset is too large");
}
