#include "qmp/files/elf_core.hpp"

#include <array>
#include <cstring>

#include <elf.h>
#include <sys/procfs.h>

namespace mfd::files {

namespace {

constexpr std::uint64_t kSegmentAlignment = std::uint64_t{1} << 20; // as in the saved file

template <class T>
void append(std::vector<std::byte>& out, const T& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    const std::size_t at = out.size();
    out.resize(at + bytes.size());
    std::memcpy(out.data() + at, bytes.data(), bytes.size());
}

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
    return (value + unit - 1) / unit * unit;
}

Elf64_Ehdr make_header(std::size_t program_headers) {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_ident[EI_OSABI] = ELFOSABI_NONE;
    header.e_type = ET_CORE;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_phoff = sizeof(Elf64_Ehdr);
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = static_cast<Elf64_Half>(program_headers);
    return header;
}

constexpr std::array<char, 12> kVmcoreinfoOwner = {'V', 'M', 'C', 'O', 'R',
                                                   'E', 'I', 'N', 'F', 'O'};
// For add_vmcoreinfo(), in front of the first segment.
constexpr std::uint64_t kVmcoreinfoRoom = sizeof(Elf64_Nhdr) + kVmcoreinfoOwner.size() + kPageSize;

constexpr std::uint64_t kNoteBytes = sizeof(Elf64_Nhdr) + 8 + sizeof(elf_prstatus);

void append_note(std::vector<std::byte>& out) {
    constexpr std::array<char, 8> kOwner = {'C', 'O', 'R', 'E', 0, 0, 0, 0}; // padded to 4
    elf_prstatus registers{};
    registers.pr_pid = 1;
    append(out, Elf64_Nhdr{5, sizeof(elf_prstatus), NT_PRSTATUS});
    append(out, kOwner);
    append(out, registers);
}

} // namespace

CoreFrame plan_core(std::span<const CoreSegment> segments) {
    CoreFrame frame;
    const std::uint64_t note_at = sizeof(Elf64_Ehdr) + (segments.size() + 1) * sizeof(Elf64_Phdr);
    append(frame.head, make_header(segments.size() + 1));
    Elf64_Phdr note{};
    note.p_type = PT_NOTE;
    note.p_offset = note_at;
    note.p_filesz = kNoteBytes;
    note.p_align = 4;
    append(frame.head, note);
    std::uint64_t at = note_at + kNoteBytes + (segments.empty() ? 0 : kVmcoreinfoRoom);
    for (const CoreSegment& segment : segments) {
        at = round_up(at, kSegmentAlignment);
        Elf64_Phdr load{};
        load.p_type = PT_LOAD;
        load.p_flags = PF_R | PF_W | PF_X;
        load.p_offset = at;
        load.p_vaddr = segment.address;
        load.p_paddr = segment.address;
        load.p_filesz = segment.bytes;
        load.p_memsz = segment.bytes;
        load.p_align = kPageSize;
        append(frame.head, load);
        frame.segments.emplace_back(at);
        at += segment.bytes;
    }
    append_note(frame.head);
    frame.length = at;
    return frame;
}

void add_vmcoreinfo(CoreFrame& frame, std::string_view text) {
    const std::size_t before = frame.head.size();
    append(frame.head, Elf64_Nhdr{11, static_cast<Elf64_Word>(text.size()), 0});
    append(frame.head, kVmcoreinfoOwner);
    const auto bytes = std::as_bytes(std::span(text));
    frame.head.insert(frame.head.end(), bytes.begin(), bytes.end());
    frame.head.resize(round_up(frame.head.size(), 4));
    // The first program header is the notes'.
    std::byte* const place = frame.head.data() + sizeof(Elf64_Ehdr);
    Elf64_Phdr note{};
    std::memcpy(&note, place, sizeof(note));
    note.p_filesz += frame.head.size() - before;
    std::memcpy(place, &note, sizeof(note));
}

} // namespace mfd::files
