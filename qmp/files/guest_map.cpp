#include "qmp/files/guest_map.hpp"

#include "proto/checked.hpp"
#include "proto/text.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace mfd::files {

namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr std::uint64_t k4G = 4 * kGiB;
constexpr std::uint64_t kElsewhere = 1024 * kGiB;

// How much RAM lies below 4 GiB (QEMU: hw/i386/pc_piix.c, pc_q35.c; types since 2.0).
std::uint64_t low_bytes(std::string_view machine, std::uint64_t ram) {
    if (machine.starts_with("pc-q35") || machine == "q35")
        return ram >= 0xb0000000 ? 0x80000000 : ram;
    if (machine.starts_with("pc") || machine.starts_with("microvm"))
        return ram >= 0xe0000000 ? 0xc0000000 : ram;
    return ram;
}

bool ends_at_4g(std::string_view name) {
    return name == "pc.bios" || name == "system.flash0" || name == "system.flash1";
}

// QEMU names the blocks of devices after their place ("0000:00:02.0/vga.vram"), those of backends
// after their id, "/objects/ID" on older machine types.
bool may_be_ram(std::string_view name) {
    if (name.starts_with("/objects/"))
        return true;
    return name.find('/') == std::string_view::npos && !ends_at_4g(name) && name != "pc.rom" &&
           name != "vga.vram";
}

class Mapper {
public:
    Mapper(std::string_view machine, std::span<const DecodedBlock> blocks)
        : machine_(machine), blocks_(blocks), placed_(blocks.size(), false) {}

    Result<std::vector<GuestRange>> run(const GuestMapOptions& options) {
        for (const auto& [name, address] : options.at) {
            MFD_TRY(const std::size_t block, take(name));
            MFD_CHECK(place(block, address, true));
        }
        MFD_TRY(const auto ram, ram_blocks(options));
        MFD_CHECK(place_ram(ram));
        MFD_CHECK(place_below_4g());
        MFD_CHECK(place_rest());
        std::ranges::sort(ranges_, {}, &GuestRange::address);
        return std::move(ranges_);
    }

private:
    [[nodiscard]] std::string name(std::size_t block) const {
        return printable(blocks_[block].layout.idstr);
    }

    Result<std::size_t> take(const std::string& wanted) {
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            if (blocks_[i].layout.idstr != wanted)
                continue;
            if (placed_[i])
                return bad_argument("block " + name(i) + " is placed twice");
            placed_[i] = true;
            return i;
        }
        return bad_argument("there is no block " + printable(wanted) + " in the file");
    }

    Result<std::vector<std::size_t>> ram_blocks(const GuestMapOptions& options) {
        std::vector<std::size_t> found;
        for (const std::string& wanted : options.ram) {
            MFD_TRY(const std::size_t block, take(wanted));
            found.push_back(block);
        }
        if (!options.ram.empty() || overlaps(0, kPageSize))
            return found;
        for (std::size_t i = 0; i < blocks_.size(); ++i)
            if (!placed_[i] && may_be_ram(blocks_[i].layout.idstr))
                found.push_back(i);
        if (found.size() > 1) {
            std::string names;
            for (const std::size_t block : found)
                names += (names.empty() ? "" : ", ") + name(block);
            return bad_argument("which of the blocks " + names +
                                " is the guest's memory from address 0 on? Name it, or those it "
                                "is made of in their order, with --ram, and others with --at");
        }
        for (const std::size_t block : found)
            placed_[block] = true;
        return found;
    }

    Result<void> place_ram(const std::vector<std::size_t>& ram) {
        std::uint64_t total = 0;
        for (const std::size_t block : ram)
            total += blocks_[block].layout.used_length; // bounded by the decoder
        const std::uint64_t low = low_bytes(machine_, total);
        std::uint64_t done = 0;
        for (const std::size_t block : ram) {
            const std::uint64_t bytes = blocks_[block].layout.used_length;
            const std::uint64_t below = std::min(bytes, low - std::min(low, done));
            MFD_CHECK(add(block, {0, below / kPageSize}, done, true));
            MFD_CHECK(add(block, {below / kPageSize, (bytes - below) / kPageSize},
                          k4G + done + below - low, true));
            done += bytes;
        }
        return {};
    }

    // Each below the one before.
    Result<void> place_below_4g() {
        std::uint64_t end = k4G;
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            const BlockLayout& layout = blocks_[i].layout;
            if (placed_[i] || !ends_at_4g(layout.idstr) || layout.used_length > end ||
                !machine_.starts_with("pc"))
                continue;
            if (overlaps(end - layout.used_length, layout.used_length))
                continue;
            end -= layout.used_length;
            placed_[i] = true;
            MFD_CHECK(place(i, end, true));
        }
        return {};
    }

    Result<void> place_rest() {
        std::uint64_t at = kElsewhere;
        for (const GuestRange& range : ranges_)
            at = std::max(at, range.address + range.pages.count * kPageSize);
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            if (placed_[i])
                continue;
            const auto next = checked_round_up(at, kGiB);
            if (!next)
                return bad_argument("there is no address left for block " + name(i));
            MFD_CHECK(place(i, *next, false));
            at = *next + blocks_[i].layout.used_length;
        }
        return {};
    }

    Result<void> place(std::size_t block, std::uint64_t address, bool known) {
        return add(block, {0, blocks_[block].layout.pages()}, address, known);
    }

    Result<void> add(std::size_t block, PageRun pages, std::uint64_t address, bool known) {
        if (pages.count == 0)
            return {};
        const std::uint64_t bytes = pages.count * kPageSize;
        if (address % kPageSize != 0 || !checked_add(address, bytes))
            return bad_argument("block " + name(block) + " cannot lie at " + hex(address));
        if (overlaps(address, bytes))
            return bad_argument("block " + name(block) + " at " + hex(address) +
                                " would lie over another one");
        ranges_.push_back({block, pages, address, known});
        return {};
    }

    [[nodiscard]] bool overlaps(std::uint64_t address, std::uint64_t bytes) const {
        return std::ranges::any_of(ranges_, [&](const GuestRange& range) {
            return address < range.address + range.pages.count * kPageSize &&
                   range.address < address + bytes;
        });
    }

    std::string_view machine_;
    std::span<const DecodedBlock> blocks_;
    std::vector<bool> placed_;
    std::vector<GuestRange> ranges_;
};

} // namespace

Result<std::vector<GuestRange>> guest_map(std::string_view machine,
                                          std::span<const DecodedBlock> blocks,
                                          const GuestMapOptions& options) {
    return Mapper(machine, blocks).run(options);
}

} // namespace mfd::files
