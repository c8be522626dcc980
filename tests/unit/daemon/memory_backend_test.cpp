#include "daemon/guest/memory_backend.hpp"
#include "guest_support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include <sys/mman.h>

using mfd::ByteExtent;
using mfd::MemoryBackend;
using mfd::MemoryKind;
using mfd::Result;
using mfd::test::all_zero;
using mfd::test::backend;
using mfd::test::extents;
using mfd::test::file_bytes;
using mfd::test::fill;
using mfd::test::kPage;
using mfd::test::refusal;
using mfd::test::ScratchDirectory;

namespace {

// Pages of the mapping that are in memory, however they came there.
std::size_t resident_pages(const MemoryBackend& block) {
    std::vector<unsigned char> there(block.size() / kPage);
    REQUIRE(::mincore(block.memory().data(), block.size(), there.data()) == 0);
    return static_cast<std::size_t>(
        std::count_if(there.begin(), there.end(), [](unsigned char c) { return (c & 1) != 0; }));
}

// Small pages only, so that one write makes one page.
void without_huge_pages(const MemoryBackend& block) {
    ::madvise(block.memory().data(), block.size(), MADV_NOHUGEPAGE);
}

// One option text for each sort of memory; files lie in `scratch`.
std::string option_for(const std::string& sort, const ScratchDirectory& scratch) {
    if (sort == "file")
        return "memory-backend-file,id=r,size=8M,share=on,mem-path=" + scratch.file("shared");
    if (sort == "private file")
        return "memory-backend-file,id=r,size=8M,share=off,mem-path=" + scratch.file("private");
    if (sort == "private memfd")
        return "memory-backend-memfd,id=r,size=8M,share=off";
    if (sort == "shared ram")
        return "memory-backend-ram,id=r,size=8M,share=on";
    return "memory-backend-" + sort + ",id=r,size=8M";
}

std::string every_sort() {
    return GENERATE(as<std::string>(), "ram", "memfd", "shm", "file", "private file",
                    "private memfd", "shared ram");
}

} // namespace

TEST_CASE("new memory reads as zero, has its size and was not touched", "[memory]") {
    const ScratchDirectory scratch;
    const auto sort = every_sort();
    CAPTURE(sort);
    const auto block = backend(option_for(sort, scratch));
    CHECK(block->size() == 8 * 1024 * 1024);
    CHECK(block->memory().size() == 8 * 1024 * 1024);
    CHECK(block->page_bytes() == kPage);
    CHECK(resident_pages(*block) == 0);
    CHECK(extents(*block).empty());
    CHECK(resident_pages(*block) == 0);
    CHECK(all_zero(*block));
}

TEST_CASE("exactly the written pages may hold data", "[memory]") {
    const ScratchDirectory scratch;
    const auto sort = every_sort();
    CAPTURE(sort);
    const auto block = backend(option_for(sort, scratch));
    without_huge_pages(*block);
    fill(*block, 0);
    fill(*block, 7, 3);
    fill(*block, 2047);
    CHECK(extents(*block) ==
          std::vector<ByteExtent>{{0, kPage}, {7 * kPage, 3 * kPage}, {2047 * kPage, kPage}});
}

TEST_CASE("reading memory does not make it data", "[memory]") {
    const ScratchDirectory scratch;
    const auto sort = GENERATE(as<std::string>(), "ram", "private file");
    CAPTURE(sort);
    const auto block = backend(option_for(sort, scratch));
    REQUIRE(all_zero(*block));
    CHECK(extents(*block).empty());
}

TEST_CASE("scattered data is found as a walk over the pages finds it", "[memory]") {
    const ScratchDirectory scratch;
    const auto sort = every_sort();
    CAPTURE(sort);
    const auto block = backend(option_for(sort, scratch));
    without_huge_pages(*block);
    std::mt19937_64 random(20240711);
    std::vector<bool> written(2048);
    for (int i = 0; i < 900; ++i) {
        const std::uint64_t page = random() % 2048;
        written[page] = true;
        fill(*block, page);
    }
    std::vector<bool> found(2048);
    std::uint64_t last_end = 0;
    for (const ByteExtent& extent : extents(*block)) {
        CHECK((extent.offset > last_end || last_end == 0));
        last_end = extent.end();
        for (std::uint64_t at = extent.offset; at < extent.end(); at += kPage)
            found[at / kPage] = true;
    }
    CHECK(found == written);
}

TEST_CASE("a cleared range reads as zero, the rest stays", "[memory]") {
    const ScratchDirectory scratch;
    const auto sort = every_sort();
    CAPTURE(sort);
    const auto block = backend(option_for(sort, scratch));
    fill(*block, 0, 2048);
    REQUIRE(block->zero_range(3 * kPage, 1000 * kPage).has_value());
    const std::byte* const memory = block->memory().data();
    const std::vector<std::byte> data(kPage, std::byte{0xa5});
    const std::vector<std::byte> zero(kPage, std::byte{0});
    for (const std::uint64_t page : {0U, 2U, 1003U, 2047U})
        CHECK(std::memcmp(memory + page * kPage, data.data(), kPage) == 0);
    for (const std::uint64_t page : {3U, 4U, 512U, 1002U})
        CHECK(std::memcmp(memory + page * kPage, zero.data(), kPage) == 0);
    REQUIRE(block->zero_range(0, block->size()).has_value());
    CHECK(all_zero(*block));
}

TEST_CASE("clearing memory that nobody touched allocates nothing", "[memory]") {
    const ScratchDirectory scratch;
    const auto sort = every_sort();
    CAPTURE(sort);
    const auto block = backend(option_for(sort, scratch));
    REQUIRE(block->zero_range(0, block->size()).has_value());
    CHECK(resident_pages(*block) == 0);
}

TEST_CASE("clearing memory of its own gives it back", "[memory]") {
    const ScratchDirectory scratch;
    const auto sort = GENERATE(as<std::string>(), "ram", "memfd", "shm", "shared ram");
    CAPTURE(sort);
    const auto block = backend(option_for(sort, scratch));
    fill(*block, 0, 2048);
    REQUIRE(block->zero_range(0, block->size()).has_value());
    CHECK(resident_pages(*block) == 0);
    CHECK(extents(*block).empty());
}

TEST_CASE("clearing memory asked for in advance keeps it", "[memory]") {
    const auto block = backend("memory-backend-memfd,id=r,size=8M,prealloc=on,prealloc-threads=3");
    CHECK(resident_pages(*block) == 2048);
    fill(*block, 5, 10);
    REQUIRE(block->zero_range(0, block->size()).has_value());
    CHECK(all_zero(*block));
    CHECK(file_bytes(*block) == block->size());
}

TEST_CASE("clearing a shared file keeps its blocks", "[memory]") {
    const ScratchDirectory scratch;
    const auto block = backend(option_for("file", scratch));
    fill(*block, 0, 64);
    REQUIRE(::msync(block->memory().data(), block->size(), MS_SYNC) == 0);
    const auto before = file_bytes(*block);
    REQUIRE(block->zero_range(0, block->size()).has_value());
    CHECK(all_zero(*block));
    CHECK(file_bytes(*block) == before);
}

TEST_CASE("ranges that are not pages of the block cannot be cleared", "[memory]") {
    const auto block = backend("memory-backend-ram,id=r,size=12k");
    CHECK(block->zero_range(0, 100).has_error());
    CHECK(block->zero_range(100, kPage).has_error());
    CHECK(block->zero_range(0, 4 * kPage).has_error());
    CHECK(block->zero_range(0xfffffffffffff000, 2 * kPage).has_error());
    CHECK(block->zero_range(3 * kPage, 0).has_value());
}

TEST_CASE("threads may clear neighbouring ranges at the same time", "[memory]") {
    const ScratchDirectory scratch;
    const auto sort = every_sort();
    CAPTURE(sort);
    const auto block = backend(option_for(sort, scratch));
    fill(*block, 0, 2048);
    std::array<bool, 4> done{};
    {
        std::vector<std::jthread> threads;
        for (std::uint64_t t = 0; t < 4; ++t)
            threads.emplace_back([&block, &done, t] {
                bool good = true;
                for (std::uint64_t page = t; page < 2048; page += 4)
                    good = good && block->zero_range(page * kPage, kPage).has_value();
                done[t] = good;
            });
    }
    CHECK(done == std::array<bool, 4>{true, true, true, true});
    CHECK(all_zero(*block));
}

TEST_CASE("any multiple of 4 KiB is a size", "[memory]") {
    const ScratchDirectory scratch;
    auto type = GENERATE(as<std::string>(), "ram", "memfd", "shm", "file");
    CAPTURE(type);
    if (type == "file")
        type += ",mem-path=" + scratch.file("odd");
    const auto block = backend("memory-backend-" + type + ",id=r,size=2101248,x-ramblock=/rom@x");
    CHECK(block->size() == 513 * kPage);
    CHECK(block->block_name() == "/rom@x");
    fill(*block, 512);
    CHECK(extents(*block).back().end() == 513 * kPage);
}

TEST_CASE("memory the machine cannot have is refused with QEMU's text", "[memory]") {
    CHECK(refusal("memory-backend-ram,id=r2,size=1152921504606846976") ==
          "cannot set up guest memory 'r2': Cannot allocate memory");
    CHECK(refusal("memory-backend-ram,id=r2,size=18446744073709551615") ==
          "cannot set up guest memory 'r2': Cannot allocate memory");
    CHECK(refusal("memory-backend-memfd,id=r2,size=4E") ==
          "unable to map backing store for guest RAM: Cannot allocate memory");
    CHECK(refusal("memory-backend-shm,id=r2,size=4E") ==
          "unable to map backing store for guest RAM: Cannot allocate memory");
}

TEST_CASE("a memfd cannot change its size unless seal=off", "[memory]") {
    const auto sealed = backend("memory-backend-memfd,id=r,size=1M");
    CHECK(::ftruncate(sealed->fd().get(), 0) != 0);
    const auto open = backend("memory-backend-memfd,id=r,size=1M,seal=off");
    CHECK(::ftruncate(open->fd().get(), 2097152) == 0);
}

TEST_CASE("a policy reaches the kernel, which refuses nodes that do not exist", "[memory]") {
    CHECK(refusal("memory-backend-ram,id=r,size=1M,policy=bind,host-nodes=127") ==
          "cannot bind memory to host NUMA nodes: Invalid argument");
    backend("memory-backend-ram,id=r,size=1M,policy=preferred,host-nodes=0");
}

TEST_CASE("huge pages are data and are cleared in parts", "[memory]") {
    auto made = mfd::test::try_backend("memory-backend-memfd,id=h,size=4M,hugetlb=on");
    if (!made.has_value())
        SKIP("no huge pages: " << made.error().what);
    const MemoryBackend& block = **made;
    CHECK(block.kind() == MemoryKind::Hugetlb);
    CHECK(block.page_bytes() == 2097152);
    CHECK(extents(block).empty());
    CHECK(file_bytes(block) == 0);
    fill(block, 512, 512);
    CHECK(extents(block) == std::vector<ByteExtent>{{2097152, 2097152}});
    REQUIRE(block.zero_range(600 * kPage, 10 * kPage).has_value());
    CHECK(block.memory()[599 * kPage] == std::byte{0xa5});
    CHECK(block.memory()[600 * kPage] == std::byte{0});
    CHECK(block.memory()[610 * kPage] == std::byte{0xa5});
    REQUIRE(block.zero_range(kPage, block.size() - kPage).has_value());
    CHECK(file_bytes(block) == 0);
}

namespace {

// What another process would do with a backend that goes away.
std::unique_ptr<MemoryBackend> handed_over(std::unique_ptr<MemoryBackend> from) {
    mfd::AdoptedMemory memory;
    memory.fd.reset(::fcntl(from->fd().get(), F_DUPFD_CLOEXEC, 3));
    memory.passed = from->passed();
    const mfd::BackendProperties properties = from->properties();
    from->leave_content();
    from.reset();
    auto adopted = MemoryBackend::adopt(properties, std::move(memory));
    INFO((adopted.has_value() ? "" : adopted.error().what));
    REQUIRE(adopted.has_value());
    return std::move(*adopted);
}

std::string with_file(std::string text, const std::string& file) {
    if (const auto at = text.find("FILE"); at != std::string::npos)
        text.replace(at, 4, file);
    return text;
}

Result<std::unique_ptr<MemoryBackend>> kept(std::string_view text) {
    MFD_TRY(auto properties, mfd::test::properties(text));
    return MemoryBackend::make(std::move(properties), {}, mfd::MemoryLifetime::Kept);
}

} // namespace

TEST_CASE("kept memory has the same bytes in the backend that adopts it", "[backend]") {
    const ScratchDirectory scratch;
    const std::string text =
        GENERATE("memory-backend-ram,", "memory-backend-memfd,share=off,", "memory-backend-memfd,",
                 "memory-backend-shm,",
                 "memory-backend-file,offset=1M,share=on,discard-data=on,mem-path=FILE,") +
        std::string("id=r,size=1M"); // too small for huge pages
    CAPTURE(text);
    auto made = kept(with_file(text, scratch.make_file("backing", 2 << 20)));
    REQUIRE(made.has_value());
    const bool shared = (*made)->properties().share;
    std::memset((*made)->memory().data() + kPage, 0x5a, kPage);
    const MemoryKind kind = (*made)->kind();
    const std::uint64_t bytes = file_bytes(**made);

    const auto adopted = handed_over(std::move(*made));
    CHECK(adopted->kind() == kind);
    CHECK(adopted->properties().share == shared);
    CHECK(adopted->memory()[kPage] == std::byte{0x5a});
    CHECK(adopted->memory()[2 * kPage - 1] == std::byte{0x5a});
    CHECK(file_bytes(*adopted) == bytes); // before a page is looked at that was not there
    CHECK(adopted->memory()[2 * kPage] == std::byte{0});
}

TEST_CASE("memory that is adopted is not touched, prealloc or not", "[backend]") {
    auto made = kept("memory-backend-memfd,id=r,size=4M");
    REQUIRE(made.has_value());
    mfd::AdoptedMemory memory;
    memory.fd.reset(::fcntl((*made)->fd().get(), F_DUPFD_CLOEXEC, 3));
    mfd::BackendProperties properties = (*made)->properties();
    properties.prealloc = true;
    const auto adopted = MemoryBackend::adopt(properties, std::move(memory));
    REQUIRE(adopted.has_value());
    CHECK(resident_pages(**adopted) == 0);
    CHECK(file_bytes(**adopted) == 0);
}

TEST_CASE("a file that is too short by now is not adopted", "[backend]") {
    const ScratchDirectory scratch;
    const std::string file = scratch.make_file("backing", 4 << 20);
    auto made = kept("memory-backend-file,id=r,size=4M,share=on,mem-path=" + file);
    REQUIRE(made.has_value());
    mfd::AdoptedMemory memory;
    memory.fd.reset(::fcntl((*made)->fd().get(), F_DUPFD_CLOEXEC, 3));
    REQUIRE(::truncate(file.c_str(), 4096) == 0);
    const auto adopted = MemoryBackend::adopt((*made)->properties(), std::move(memory));
    REQUIRE_FALSE(adopted.has_value());
    CHECK(adopted.error().what.find("ends at 0x1000: too short") != std::string::npos);
}

TEST_CASE("private changes to a file cannot be kept", "[backend]") {
    const ScratchDirectory scratch;
    const std::string file =
        "memory-backend-file,id=r,size=1M,mem-path=" + scratch.make_file("backing", 1 << 20);
    CHECK_FALSE(kept(file).has_value());
    CHECK_FALSE(kept(file + ",readonly=on,rom=off").has_value());
    CHECK(kept(file + ",readonly=on").has_value());
}
