// A saved file with one bit flipped, thousands of times: each is refused with a name for what is
// damaged, or restores exactly. What must happen follows from where the bit is.
#include "daemon/restore_job.hpp"
#include "daemon/save_job.hpp"
#include "proto/decode.hpp"
#include "proto/trailer.hpp"
#include "tests/support/byte_sources.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/still_host.hpp"

#include "guest_support.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

using mfd::FileOffset;
using mfd::kPageSize;

namespace {

// Each flip is a restore with two workers: with the thread sanitizer ten thousand take longer than
// a test may on a busy machine, and what it looks for is in a thousand just as well.
constexpr int kFlips = MFD_TSAN ? 1000 : 10000;

struct Guest {
    std::vector<std::unique_ptr<mfd::MemoryBackend>> owned;
    Guest() {
        for (const char* text :
             {"memory-backend-memfd,id=ram,size=1M", "memory-backend-memfd,id=vram,size=400K",
              "memory-backend-memfd,id=rom,size=64K"})
            owned.push_back(mfd::test::backend(text));
    }
    [[nodiscard]] std::vector<mfd::MemoryBackend*> blocks() const {
        std::vector<mfd::MemoryBackend*> blocks;
        for (const auto& block : owned)
            blocks.push_back(block.get());
        return blocks;
    }
    void poison() const {
        for (const auto& block : owned)
            std::memset(block->memory().data(), 0x5a, block->memory().size());
    }
    [[nodiscard]] bool poisoned() const {
        return std::ranges::all_of(owned, [](const auto& block) {
            // Each byte is the one before it.
            const auto memory = block->memory();
            return memory[0] == std::byte{0x5a} &&
                   std::memcmp(memory.data(), memory.data() + 1, memory.size() - 1) == 0;
        });
    }
    [[nodiscard]] bool equals(const Guest& other) const {
        return std::ranges::equal(owned, other.owned, [](const auto& a, const auto& b) {
            return a->size() == b->size() &&
                   std::memcmp(a->memory().data(), b->memory().data(), a->size()) == 0;
        });
    }
};

enum class Part : std::uint8_t { Free, Metadata, Page };

// A stretch of the file, and what a flipped bit in it must come to.
struct Stretch {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    Part part = Part::Free;
    std::string name; // of a page, as the error has it
};

class FlippedFile {
public:
    FlippedFile() : path_(folder_.file("flips.mig")) {
        fill();
        save();
        leave_old_data_in_free_slots();
        map_out();
    }

    [[nodiscard]] const std::vector<Stretch>& stretches() const { return stretches_; }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    // Restores the file with this bit flipped; "" if that is what had to happen, else what did.
    std::string judge(std::uint64_t at, unsigned bit) {
        const Stretch& stretch = *std::ranges::upper_bound(stretches_, at, {}, &Stretch::end);
        flip(at, bit);
        copy_.poison();
        const auto result = restore();
        flip(at, bit);
        ++outcomes[result.has_value()           ? "restored exactly"
                   : stretch.part == Part::Page ? "refused: " + stretch.name.substr(0, 9)
                                                : refusal(result.error().what)];
        if (result.has_value() != (stretch.part == Part::Free))
            return result.has_value() ? "accepted" : "refused: " + result.error().what;
        if (result.has_value())
            return copy_.equals(guest_) ? "" : "accepted with other memory";
        const std::string& what = result.error().what;
        if (stretch.part == Part::Page)
            return what.starts_with(stretch.name) ? "" : "named wrongly: " + what;
        if (!copy_.poisoned())
            return "refused after memory was written: " + what;
        return what.find("at 0x") != std::string::npos || what.find("ramblock") != std::string::npos
                   ? ""
                   : "refused without a place: " + what;
    }

    std::map<std::string, std::uint64_t> outcomes;

private:
    // The first words, without places and numbers.
    static std::string refusal(const std::string& what) {
        return "refused: " + what.substr(0, std::min(what.find_first_of("0123456789("), 45UL));
    }

    void fill() {
        std::mt19937_64 random(1);
        for (const auto& block : guest_.owned)
            for (std::uint64_t page = 0; page < block->memory().size() / kPageSize; ++page)
                if (random() % 3 != 0)
                    for (std::uint64_t at = 0; at < kPageSize; ++at)
                        block->memory()[page * kPageSize + at] = static_cast<std::byte>(random());
    }

    [[nodiscard]] mfd::FileTarget target(mfd::FileUse use) const {
        mfd::FdSets no_sets;
        auto target = mfd::resolve_target(no_sets, path_, 0, use, mfd::PageIo::Buffered);
        REQUIRE(target.has_value());
        return std::move(*target);
    }

    void save() {
        const std::atomic<std::uint64_t> downtime_limit_ms{300};
        const mfd::RunFlag guest_runs;
        mfd::SaveRequest request;
        request.target = target(mfd::FileUse::Save);
        request.blocks = guest_.blocks();
        request.guest = &guest_runs;
        request.downtime_limit_ms = &downtime_limit_ms;
        request.sync = false;
        mfd::testing::StillHost host(guest_.blocks());
        mfd::JobProgress progress(2);
        const auto saved = mfd::SaveJob(std::move(request), host, progress).run({});
        INFO((saved.has_value() ? "" : saved.error().what));
        REQUIRE(saved.has_value());
    }

    mfd::Result<mfd::RestoreJob::Outcome> restore() {
        mfd::RestoreRequest request;
        request.target = target(mfd::FileUse::Load);
        mfd::testing::StillHost host(copy_.blocks());
        mfd::JobProgress progress(2);
        return mfd::RestoreJob(std::move(request), host, progress).run({});
    }

    // As a live save does when pages become zero.
    void leave_old_data_in_free_slots() {
        fd_ = mfd::UniqueFd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
        REQUIRE(fd_.valid());
        mfd::testing::FileSource source(path_);
        const auto stream = mfd::decode_stream(source, FileOffset(0));
        REQUIRE(stream.has_value());
        const std::vector<std::byte> old(kPageSize, std::byte{0xee});
        for (const mfd::DecodedBlock& block : stream->blocks)
            for (std::uint64_t page = 0; page < block.layout.pages(); page += 2)
                if (!block.bitmap.test(page))
                    REQUIRE(mfd::write_all_at(fd_.ref(), old,
                                              block.layout.slot(mfd::PageIndex(page)).value)
                                .has_value());
    }

    void add(std::uint64_t end, Part part, const std::string& name = "") {
        if (end > bytes_)
            stretches_.push_back({bytes_, end, part, name});
        bytes_ = end;
    }

    void map_out() {
        mfd::testing::FileSource source(path_);
        const auto stream = mfd::decode_stream(source, FileOffset(0));
        const auto found = mfd::find_trailer(source, *stream);
        REQUIRE((found.has_value() && found->has_value()));
        const mfd::Trailer& trailer = **found;
        const auto pages = [&](const mfd::DecodedBlock& block, std::uint64_t from,
                               std::uint64_t page_bytes) {
            for (std::uint64_t page = 0; page < block.layout.pages(); ++page)
                add(from + (page + 1) * page_bytes,
                    block.bitmap.test(page) ? Part::Page : Part::Free,
                    "block " + block.layout.idstr + ", page " + std::to_string(page) + ",");
        };
        for (const mfd::DecodedBlock& block : stream->blocks) {
            add(block.layout.bitmap_offset.value + block.layout.bitmap_size(), Part::Metadata);
            add(block.layout.pages_offset.value, Part::Free);
            pages(block, block.layout.pages_offset.value, kPageSize);
        }
        add(trailer.stream_end.value, Part::Metadata);
        add(trailer.at.value, Part::Free);
        add(trailer.at.value + mfd::encode_trailer(trailer).bytes.size(), Part::Metadata);
        for (std::size_t i = 0; i < stream->blocks.size(); ++i) {
            add(trailer.blocks[i].table.value, Part::Free);
            pages(stream->blocks[i], trailer.blocks[i].table.value, sizeof(std::uint32_t));
        }
        add(trailer.end.value, Part::Free);
        REQUIRE(source.size() == bytes_);
    }

    void flip(std::uint64_t at, unsigned bit) const {
        std::vector<std::byte> byte(1);
        REQUIRE(mfd::read_all_at(fd_.ref(), byte, at).has_value());
        byte[0] ^= std::byte{1} << bit;
        REQUIRE(mfd::write_all_at(fd_.ref(), byte, at).has_value());
    }

    mfd::test::ScratchDirectory folder_;
    std::string path_;
    mfd::UniqueFd fd_;
    Guest guest_;
    Guest copy_;
    std::vector<Stretch> stretches_; // one behind the other, from 0 to the file's end
    std::uint64_t bytes_ = 0;
};

} // namespace

TEST_CASE("a flipped bit is refused by name or does no harm", "[bit_flips]") {
    const std::uint32_t seed = Catch::getSeed();
    std::mt19937_64 random(seed);
    FlippedFile file;
    // Half of them anywhere in the file, half in a stretch of metadata drawn by its length: those
    // are few bytes, which would hardly be hit otherwise.
    std::vector<std::uint64_t> metadata;
    for (const Stretch& stretch : file.stretches())
        for (std::uint64_t at = stretch.begin; stretch.part == Part::Metadata && at < stretch.end;
             ++at)
            metadata.push_back(at);
    for (int i = 0; i < kFlips; ++i) {
        const std::uint64_t at =
            i % 2 == 0 ? random() % file.bytes() : metadata[random() % metadata.size()];
        const auto bit = static_cast<unsigned>(random() % 8);
        const std::string fault = file.judge(at, bit);
        if (!fault.empty())
            FAIL_CHECK("seed " << seed << ", flip " << i << ", bit " << bit << " of byte " << at
                               << ": " << fault);
    }
    std::string table = "seed " + std::to_string(seed) + "\n";
    for (const auto& [outcome, times] : file.outcomes)
        table += std::to_string(times) + "\t" + outcome + "\n";
    std::fputs(table.c_str(), stdout);
}
