// Backends made from files, by path and as passed descriptors.
#include "daemon/guest/memory_backend.hpp"
#include "guest_support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/mman.h>

using mfd::ByteExtent;
using mfd::MemoryBackend;
using mfd::MemoryKind;
using mfd::test::all_zero;
using mfd::test::backend;
using mfd::test::extents;
using mfd::test::file_bytes;
using mfd::test::fill;
using mfd::test::kPage;
using mfd::test::refusal;
using mfd::test::ScratchDirectory;

TEST_CASE("a file that does not exist is created with the size", "[memory]") {
    const ScratchDirectory scratch;
    const auto path = scratch.file("mb");
    const auto block = backend("memory-backend-file,id=f1,size=2M,offset=4k,mem-path=" + path);
    CHECK(std::filesystem::file_size(path) == 2097152 + 4096);
    CHECK(block->file_offset() == 4096);
}

TEST_CASE("a shared file gets what is written to memory, a private one does not", "[memory]") {
    const ScratchDirectory scratch;
    const auto path = scratch.make_file("mb", 3 * kPage);
    const std::string option =
        "memory-backend-file,id=f1,size=4k,offset=8k,mem-path=" + path + ",share=";
    const mfd::UniqueFd reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::byte seen{0};
    fill(*backend(option + "off"), 0);
    REQUIRE(::pread(reader.get(), &seen, 1, 2 * kPage) == 1);
    CHECK(seen == std::byte{0});
    fill(*backend(option + "on"), 0);
    REQUIRE(::pread(reader.get(), &seen, 1, 2 * kPage) == 1);
    CHECK(seen == std::byte{0xa5});
}

TEST_CASE("a private file's data is what is in the file and what was written over it", "[memory]") {
    const ScratchDirectory scratch;
    const auto path = scratch.make_file("mb", 64 * kPage);
    const mfd::UniqueFd writer(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const std::vector<std::byte> data(kPage, std::byte{1});
    REQUIRE(::pwrite(writer.get(), data.data(), kPage, 10 * kPage) == kPage);
    const auto block = backend("memory-backend-file,id=f,size=192k,offset=16k,mem-path=" + path);
    fill(*block, 20);
    CHECK(extents(*block) == std::vector<ByteExtent>{{6 * kPage, kPage}, {20 * kPage, kPage}});
    REQUIRE(block->zero_range(0, block->size()).has_value());
    CHECK(all_zero(*block));
}

TEST_CASE("files that do not fit get QEMU's text", "[memory]") {
    const ScratchDirectory scratch;
    const auto path = scratch.make_file("mb", 2097152);
    const std::string file = "memory-backend-file,id=o3,mem-path=" + path;
    CHECK(refusal(file + ",size=100") ==
          "backend 'memory-backend-file' memory size must be multiple of 4 KiB");
    CHECK(refusal(file + ",size=1M,offset=100") ==
          "offset 0x64 must be multiples of page size 0x1000");
    CHECK(refusal(file + ",size=1M,align=3") ==
          "alignment 0x3 must be multiples of page size 0x1000");
    CHECK(refusal(file + ",size=1M,align=12k") == "alignment 0x3000 must be a power of two");
    CHECK(refusal(file + ",size=4M") == "o3 backing store size 0x200000 is too small for 'size' "
                                        "option 0x400000 plus 'offset' option 0x0");
    CHECK(refusal(file + ",size=1M,offset=1028k") ==
          "o3 backing store size 0x200000 is too small for 'size' option 0x100000 plus 'offset' "
          "option 0x101000");
    CHECK(refusal("memory-backend-file,id=f,size=1M,mem-path=" + scratch.file("no/mb")) ==
          "can't open backing store " + scratch.file("no/mb") +
              " for guest RAM: No such file or directory");
    CHECK(refusal("memory-backend-file,id=f,size=1M,readonly=on,mem-path=" +
                  scratch.file("absent")) == "can't open backing store " + scratch.file("absent") +
                                                 " for guest RAM: No such file or directory");
    CHECK(refusal("memory-backend-file,id=f,size=1M,mem-path=/dev/null") ==
          "unable to map backing store for guest RAM: No such device");
    CHECK(refusal("memory-backend-file,id=f,size=1M,mem-path=/dev/fdset/3") ==
          "can't open backing store /dev/fdset/3 for guest RAM: No such file or directory");
    CHECK(std::filesystem::file_size(path) == 2097152);
}

TEST_CASE("a refused backend leaves no new file behind", "[memory]") {
    const ScratchDirectory scratch;
    const auto path = scratch.file("new");
    CHECK(refusal("memory-backend-file,id=f,size=1M,offset=100,mem-path=" + path) != "accepted");
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a FIFO is refused at once", "[memory]") {
    const ScratchDirectory scratch;
    const auto path = scratch.file("fifo");
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK(refusal("memory-backend-file,id=f,size=1M,readonly=on,mem-path=" + path) ==
          "unable to map backing store for guest RAM: No such device");
}

TEST_CASE("a directory gets a file without a name", "[memory]") {
    const ScratchDirectory scratch;
    const auto block =
        backend("memory-backend-file,id=d1,size=1M,share=on,mem-path=" + scratch.file(""));
    fill(*block, 3);
    CHECK(std::filesystem::is_empty(scratch.file("")));
}

TEST_CASE("an alignment is kept", "[memory]") {
    const ScratchDirectory scratch;
    const auto block =
        backend("memory-backend-file,id=f,size=4k,align=64M,mem-path=" + scratch.file("aligned"));
    CHECK(reinterpret_cast<std::uintptr_t>(block->memory().data()) % (64 * 1024 * 1024) == 0);
}

TEST_CASE("read-only memory says so and cannot be cleared", "[memory]") {
    const ScratchDirectory scratch;
    const auto path = scratch.make_file("mb", 1048576);
    const auto rom = backend("memory-backend-file,id=f,size=1M,readonly=on,mem-path=" + path);
    CHECK(rom->readonly());
    CHECK(rom->zero_range(0, kPage).has_error());
    const auto ram =
        backend("memory-backend-file,id=f,size=1M,readonly=on,rom=off,mem-path=" + path);
    CHECK_FALSE(ram->readonly());
    fill(*ram, 0);
}

TEST_CASE("passed memory is mapped through its set, with the access it is used with", "[memory]") {
    const mfd::UniqueFd memfd(::memfd_create("passed", MFD_CLOEXEC));
    REQUIRE(::ftruncate(memfd.get(), 1048576) == 0);
    int flags = -1;
    const auto opener = mfd::test::opener_of(memfd.ref(), &flags);
    const std::string option = "memory-backend-file,id=p,size=1M,mem-path=/dev/fdset/7";
    const auto block = backend(option + ",share=on", opener);
    CHECK(flags == O_RDWR);
    CHECK(block->foreign());
    CHECK(block->kind() == MemoryKind::Shmem);
    const std::vector<std::byte> data(kPage, std::byte{1});
    REQUIRE(::pwrite(memfd.get(), data.data(), kPage, 9 * kPage) == kPage);
    CHECK(extents(*block) == std::vector<ByteExtent>{{9 * kPage, kPage}});
    CHECK(block->memory()[9 * kPage] == std::byte{1});

    CHECK_FALSE(backend(option + ",share=off", opener)->foreign());
    CHECK(backend(option + ",readonly=on", opener)->readonly());
    CHECK(flags == O_RDONLY);
    CHECK(refusal("memory-backend-file,id=p,size=1M,mem-path=/dev/fdset/8", opener) ==
          "can't open backing store /dev/fdset/8 for guest RAM: Failed to find fdset "
          "/dev/fdset/8");
}

TEST_CASE("looking for holes leaves the client's file position alone", "[memory]") {
    const mfd::UniqueFd memfd(::memfd_create("passed", MFD_CLOEXEC));
    REQUIRE(::ftruncate(memfd.get(), 1048576) == 0);
    REQUIRE(::lseek(memfd.get(), 777, SEEK_SET) == 777);
    const auto block = backend("memory-backend-file,id=p,size=1M,mem-path=/dev/fdset/7,share=on",
                               mfd::test::opener_of(memfd.ref()));
    fill(*block, 30);
    CHECK(extents(*block).size() == 1);
    REQUIRE(block->zero_range(0, block->size()).has_value());
    CHECK(::lseek(memfd.get(), 0, SEEK_CUR) == 777);
    CHECK(file_bytes(*block) == kPage); // cleared in place: another process may have it pinned
    CHECK(all_zero(*block));
}

TEST_CASE("a dirty log must be large enough for the block", "[memory]") {
    const mfd::UniqueFd log(::memfd_create("log", MFD_CLOEXEC));
    REQUIRE(::ftruncate(log.get(), 8) == 0);
    const auto opener = mfd::test::opener_of(log.ref());
    CHECK(backend("memory-backend-ram,id=r,size=256k,x-dirty-log=/dev/fdset/7", opener)
              ->dirty_log()
              .valid());
    CHECK(refusal("memory-backend-ram,id=r,size=260k,x-dirty-log=/dev/fdset/7", opener)
              .find("at least 16 bytes") != std::string::npos);
    CHECK(refusal("memory-backend-ram,id=r,size=256k,x-dirty-log=/dev/fdset/8", opener)
              .find("Failed to find fdset") != std::string::npos);
}
