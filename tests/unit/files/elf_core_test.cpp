#include "qmp/files/elf_core.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstring>

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

TEST_CASE("a core of no memory is its head", "[elf_core]") {
    const auto core = mfd::files::plan_core({});
    CHECK(at<Elf64_Ehdr>(core.head, 0).e_phnum == 1);
    CHECK(core.length == core.head.size());
}
