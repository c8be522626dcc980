#include "guest_support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <csignal>

#include <sys/mman.h>
#include <sys/wait.h>

using mfd::test::backend;
using mfd::test::fill;
using mfd::test::kPage;
using mfd::test::ScratchDirectory;

namespace {

constexpr std::uint64_t kBlockPages = 2048;

mfd::UniqueFd memfd() {
    mfd::UniqueFd fd(::memfd_create("lost", MFD_CLOEXEC));
    REQUIRE(fd.valid());
    REQUIRE(::ftruncate(fd.get(), kBlockPages * kPage) == 0);
    return fd;
}

// A block on a file of somebody else, who keeps a descriptor of it.
struct OthersMemory {
    explicit OthersMemory(bool on_disk)
        : path(scratch.make_file("ram", kBlockPages * kPage)),
          file(on_disk ? mfd::UniqueFd(::open(path.c_str(), O_RDWR | O_CLOEXEC)) : memfd()),
          block(backend("memory-backend-file,id=r,size=8M,share=on,mem-path=/dev/fdset/1",
                        [this](std::string_view, int) -> mfd::Result<mfd::UniqueFd> {
                            return mfd::UniqueFd(::fcntl(file.get(), F_DUPFD_CLOEXEC, 3));
                        })) {
        fill(*block, 0, kBlockPages);
    }
    void shorten(std::uint64_t bytes) const {
        REQUIRE(::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0);
    }
    [[nodiscard]] std::byte first_of(std::uint64_t page) const {
        return block->memory()[page * kPage];
    }

    ScratchDirectory scratch;
    std::string path;
    mfd::UniqueFd file;
    std::unique_ptr<mfd::MemoryBackend> block;
};

std::string loss_of(const mfd::MemoryBackend& block) {
    const auto intact = block.check_intact();
    return intact.has_value() ? "" : intact.error().what;
}

} // namespace

TEST_CASE("memory whose file was shortened reads as zero behind the end", "[memory_faults]") {
    const OthersMemory memory(GENERATE(false, true));
    CHECK(loss_of(*memory.block).empty());
    memory.shorten(100 * kPage + 17);
    CHECK(memory.first_of(100) == std::byte{0xa5}); // the kernel keeps the page that is cut
    CHECK(memory.first_of(kBlockPages - 1) == std::byte{0});
    CHECK(memory.first_of(101) == std::byte{0});
    fill(*memory.block, 101, kBlockPages - 101); // as good as any memory, and nobody sees it
    CHECK(memory.first_of(700) == std::byte{0xa5});
    CHECK(loss_of(*memory.block) ==
          "memory of block r is lost from 0x64011 on: its file was shortened to 409617 bytes; "
          "delete the object and add it again");
}

TEST_CASE("lost memory stays lost when the file grows again", "[memory_faults]") {
    const OthersMemory memory(GENERATE(false, true));
    memory.shorten(0);
    CHECK(memory.first_of(5) == std::byte{0});
    memory.shorten(kBlockPages * kPage);
    CHECK(loss_of(*memory.block) ==
          "memory of block r is lost from 0x0 on: the system could not provide it; delete the "
          "object and add it again");
    const OthersMemory fresh(false);
    CHECK(loss_of(*fresh.block).empty());
}

TEST_CASE("a loss that nobody has looked at is found by the file's length", "[memory_faults]") {
    const OthersMemory memory(false);
    memory.shorten(kPage);
    CHECK(loss_of(*memory.block).find("lost from 0x1000 on") != std::string::npos);
}

TEST_CASE("a bus error that is not the guest's ends the process as ever", "[memory_faults]") {
    const OthersMemory watched(false);
    const bool sent = GENERATE(false, true);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const mfd::UniqueFd file(::memfd_create("own", MFD_CLOEXEC));
        auto* page = static_cast<volatile char*>(
            ::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file.get(), 0));
        if (sent)
            ::kill(::getpid(), SIGBUS);
        std::_Exit(page[0]);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGBUS);
}
