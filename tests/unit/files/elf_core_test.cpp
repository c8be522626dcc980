#include "qmp/files/elf_core.hpp"
#include "qmp/files/vmcoreinfo.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <span>
#include <string>

#include <elf.h>

namespace {

template <class T>
T at(const std::vector<std::byte>& bytes, std::size_t offset) {
    REQUIRE(offset + sizeof(T) <= bytes.size());
    T value{};
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

} // namespace

TEST_CASE("a core's segments follow its head, each on a page of the file", "[elf_core]") {
    const std::vector<mfd::files::CoreSegment> segments = {{0, 3 * mfd::kPageSize},
                                                           {std::uint64_t{1} << 40, 1 << 20}};
    const auto core = mfd::files::plan_core(segments);
    const auto header = at<Elf64_Ehdr>(core.head, 0);
    CHECK(header.e_type == ET_CORE);
    REQUIRE(header.e_phnum == 3);
    const auto note = at<Elf64_Phdr>(core.head, header.e_phoff);
    CHECK(note.p_type == PT_NOTE);
    CHECK(note.p_offset + note.p_filesz == core.head.size());
    std::uint64_t end = core.head.size();
    for (std::size_t i = 0; i < segments.size(); ++i) {
        const auto load = at<Elf64_Phdr>(core.head, header.e_phoff + (i + 1) * sizeof(Elf64_Phdr));
        CHECK(load.p_type == PT_LOAD);
        CHECK(load.p_paddr == segments[i].address);
        CHECK(load.p_vaddr == segments[i].address);
        CHECK(load.p_filesz == segments[i].bytes);
        CHECK(load.p_memsz == segments[i].bytes);
        CHECK(load.p_offset == core.segments[i].value);
        CHECK(load.p_offset % mfd::kPageSize == 0);
        CHECK(load.p_offset >= end);
        end = load.p_offset + load.p_filesz;
    }
    CHECK(core.length == end);
}

TEST_CASE("a kernel's note stands behind the registers, and in front of the memory", "[elf_core]") {
    const std::vector<mfd::files::CoreSegment> one = {{0, mfd::kPageSize}};
    // Of as many segments as leave the head just below a multiple of the unit they are aligned to.
    const std::vector<mfd::files::CoreSegment> many(18715, {0, mfd::kPageSize});
    for (const auto& segments : {one, many}) {
        auto core = mfd::files::plan_core(segments);
        const std::size_t before = core.head.size();
        const std::string text(mfd::kPageSize - 1, 'x');
        mfd::files::add_vmcoreinfo(core, text);
        const auto note = at<Elf64_Phdr>(core.head, sizeof(Elf64_Ehdr));
        CHECK(note.p_offset + note.p_filesz == core.head.size());
        CHECK(at<Elf64_Nhdr>(core.head, before).n_namesz == 11);
        CHECK(at<Elf64_Nhdr>(core.head, before).n_descsz == text.size());
        CHECK(std::memcmp(core.head.data() + before + 12, "VMCOREINFO\0\0xxx", 15) == 0);
        CHECK(core.head.size() % 4 == 0);
        CHECK(core.head.size() <= core.segments.front().value);
    }
}

TEST_CASE("vmcoreinfo is told from other pages that begin alike", "[elf_core]") {
    const std::string good = "OSRELEASE=6.1.0-53-cloud-amd64\nPAGESIZE=4096\n"
                             "SYMBOL(swapper_pg_dir)=ffffffff82a10000\nKERNELOFFSET=0\n";
    const auto found = [](std::string text) {
        text.resize(mfd::kPageSize);
        const auto info = mfd::files::vmcoreinfo_in(std::as_bytes(std::span(text)));
        return info ? std::string(*info) : std::string();
    };
    CHECK(found(good) == good);
    CHECK(mfd::files::kernel_release(good) == "6.1.0-53-cloud-amd64");
    CHECK(found(good.substr(0, 60)).empty());
    CHECK(found(" " + good).empty());
    CHECK(found(good + std::string(mfd::kPageSize, 'x')).empty());
    CHECK(found("OSRELEASE=").empty());
    CHECK(mfd::files::kernel_release("PAGESIZE=4096\n").empty());
}

TEST_CASE("a core of no memory is its head", "[elf_core]") {
    const auto core = mfd::files::plan_core({});
    CHECK(at<Elf64_Ehdr>(core.head, 0).e_phnum == 1);
    CHECK(core.length == core.head.size());
}
