// Writes small whole files into the folder named, each with and without checksums: one of our own
// and, for each migration file named, one of the same structure: its configuration, block names,
// device sections and vmdescription, with blocks of a few pages that stand close together. A file
// that its writer did not get to the end of is cut in the same place.
//
//   make_restore_seeds FOLDER [FILE]...
#include "proto/byte_cursor.hpp"
#include "proto/checksum.hpp"
#include "proto/decode.hpp"
#include "proto/device_state.hpp"
#include "proto/encode.hpp"
#include "proto/trailer.hpp"
#include "proto/trailer_mark.hpp"
#include "proto/wire.hpp"
#include "tests/support/byte_sources.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace {

using mfd::FileOffset;
using mfd::kPageSize;

constexpr std::uint64_t kId = 0x0123456789abcdef;
constexpr std::uint64_t kPages = 3;

struct Content {
    mfd::Configuration configuration;
    std::vector<mfd::BlockSpec> blocks;
    std::vector<mfd::DeviceSection> early_devices;
    mfd::Tail tail;
    std::uint64_t parts = 1;
    bool complete = true;
};

Content our_own() {
    Content content;
    content.blocks = {{"a", 5 * kPageSize}, {"b", kPageSize}};
    content.tail = {true,
                    {*mfd::make_globalstate(3, "running")},
                    mfd::make_vmdescription(content.configuration)};
    return content;
}

// Where a stream begins that stands behind something else.
FileOffset find_stream(mfd::testing::FileSource& source) {
    constexpr std::uint64_t kFarthest = std::uint64_t{1} << 20;
    std::vector<std::byte> head(std::min(source.size(), kFarthest));
    const std::vector<std::byte> magic =
        mfd::ByteWriter().put_big(mfd::wire::kMagic).put_big(mfd::wire::kVersion).take_all();
    if (!source.read_at(FileOffset(0), head).has_value())
        return FileOffset(0);
    return FileOffset(static_cast<std::uint64_t>(
        std::search(head.begin(), head.end(), magic.begin(), magic.end()) - head.begin()));
}

Content content_of(const std::string& path) {
    mfd::testing::FileSource source(path);
    const auto inspection = mfd::inspect_stream(source, find_stream(source));
    const mfd::DecodedStream& stream = inspection.stream;
    Content content{
        stream.configuration, {},
        stream.early_devices, {stream.switchover_start, stream.devices, stream.vmdescription},
        stream.part_sections, stream.complete};
    for (const mfd::DecodedBlock& block : stream.blocks)
        content.blocks.push_back(
            {block.layout.idstr, std::min(block.layout.used_length, kPages * kPageSize)});
    return content;
}

// Moves every page area from the next MiB to the next page.
void pack(mfd::StreamPlan& plan) {
    if (plan.blocks.empty())
        return;
    const std::uint64_t footer = plan.head_end.value - plan.ram_end.value;
    FileOffset at = plan.blocks.front().entry_offset;
    for (mfd::BlockLayout& block : plan.blocks) {
        const std::uint64_t header = block.header_offset.value - block.entry_offset.value;
        const std::uint64_t bitmap = block.bitmap_offset.value - block.entry_offset.value;
        block.entry_offset = at;
        block.header_offset = at + header;
        block.bitmap_offset = at + bitmap;
        block.pages_offset =
            FileOffset((block.bitmap_offset.value + block.bitmap_size() + kPageSize - 1) /
                       kPageSize * kPageSize);
        at = block.slots_end();
    }
    plan.ram_end = at;
    plan.head_end = at + footer;
}

class Writer {
public:
    explicit Writer(const Content& content) : content_(content) {
        plan_ = *mfd::plan_stream(FileOffset(0), content.configuration, content.blocks,
                                  mfd::BlockOrder::AsGiven);
        pack(plan_);
        for (const mfd::Fragment& piece : mfd::encode_head(plan_))
            put(piece);
        put(*mfd::encode_devices(plan_.head_end, content.early_devices));
        for (std::uint64_t i = 0; i < content.parts; ++i)
            put(mfd::encode_part(FileOffset(bytes_.size())));
        if (!content.complete)
            return;
        for (const mfd::BlockLayout& block : plan_.blocks)
            put_pages(block);
    }

    std::vector<std::byte> without_trailer() {
        if (content_.complete)
            put(*mfd::encode_tail(FileOffset(bytes_.size()), content_.tail));
        return bytes_;
    }

    std::vector<std::byte> with_trailer() {
        mfd::Tail tail = content_.tail;
        tail.vmdescription = mfd::with_trailer_id(tail.vmdescription, kId);
        const mfd::Fragment end = *mfd::encode_tail(FileOffset(bytes_.size()), tail);
        put(end);
        mfd::Trailer trailer = *mfd::plan_trailer(plan_, end.end(), kId);
        const std::uint64_t sections_end =
            end.end().value - mfd::vmdescription_bytes(tail.vmdescription);
        trailer.configuration_checksum = sum(0, plan_.start_offset.value);
        std::uint64_t from = plan_.start_offset.value;
        for (std::size_t i = 0; i < plan_.blocks.size(); ++i) {
            const mfd::BlockLayout& block = plan_.blocks[i];
            const std::uint64_t bitmap = block.bitmap_offset.value;
            trailer.blocks[i].entry_checksum = sum(from, bitmap);
            trailer.blocks[i].bitmap_checksum = sum(bitmap, bitmap + block.bitmap_size());
            put_table(block, trailer.blocks[i].table);
            from = block.slots_end().value;
        }
        trailer.sections_checksum = sum(plan_.ram_end.value, sections_end);
        trailer.vmdescription_checksum = sum(sections_end, end.end().value);
        put(mfd::encode_trailer(trailer));
        bytes_.resize(trailer.end.value);
        return bytes_;
    }

private:
    void put(FileOffset at, std::span<const std::byte> bytes) {
        bytes_.resize(std::max(bytes_.size(), at.value + bytes.size()));
        std::copy(bytes.begin(), bytes.end(),
                  bytes_.begin() + static_cast<std::ptrdiff_t>(at.value));
    }
    void put(const mfd::Fragment& piece) { put(piece.at, piece.bytes); }

    // The middle one of three is zero.
    void put_pages(const mfd::BlockLayout& block) {
        mfd::PageBitmap present(block.pages());
        for (std::uint64_t page = 0; page < block.pages(); ++page) {
            if (page % 3 == 1)
                continue;
            present.set(page);
            put(block.slot(mfd::PageIndex(page)),
                std::vector<std::byte>(kPageSize, static_cast<std::byte>(0xa0 + page)));
        }
        put(block.bitmap_offset, present.bytes());
    }

    void put_table(const mfd::BlockLayout& block, FileOffset table) {
        for (std::uint64_t page = 0; page < block.pages(); ++page) {
            std::uint32_t sum = 0;
            mfd::page_checksums(&bytes_[block.slot(mfd::PageIndex(page)).value], 1, &sum);
            put(table + page * sizeof sum, std::as_bytes(std::span(&sum, 1)));
        }
    }

    [[nodiscard]] std::uint64_t sum(std::uint64_t from, std::uint64_t to) const {
        return mfd::checksum64(std::span(bytes_).subspan(from, to - from));
    }

    Content content_;
    mfd::StreamPlan plan_;
    std::vector<std::byte> bytes_;
};

// A seed that is refused where its model was not is a mistake made here.
bool is_sound(const std::vector<std::byte>& bytes, bool checksums) {
    mfd::testing::MemorySource source(bytes);
    const auto stream = mfd::decode_stream(source, FileOffset(0));
    if (!stream.has_value()) {
        std::fprintf(stderr, "%s\n", stream.error().what.c_str());
        return false;
    }
    const auto trailer = mfd::find_trailer(source, *stream);
    if (!trailer.has_value() || trailer->has_value() != checksums)
        return false;
    return !checksums || mfd::check_metadata(source, *stream, **trailer).has_value();
}

bool write(const std::string& path, const std::vector<std::byte>& bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    return out.good();
}

bool write_both(const std::string& path, const Content& content) {
    const auto plain = Writer(content).without_trailer();
    if (!write(path, plain))
        return false;
    if (!content.complete)
        return true;
    const auto sums = Writer(content).with_trailer();
    return is_sound(plain, false) && is_sound(sums, true) && write(path + ".sums", sums);
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: make_restore_seeds FOLDER [FILE]...\n");
        return 2;
    }
    const std::filesystem::path folder = argv[1];
    std::filesystem::create_directories(folder);
    if (!write_both(folder / "ours", our_own()))
        return 1;
    for (int i = 2; i < argc; ++i) {
        const std::filesystem::path path = argv[i];
        if (!write_both(folder / path.stem(), content_of(path))) {
            std::fprintf(stderr, "make_restore_seeds: no seed from %s\n", argv[i]);
            return 1;
        }
    }
    return 0;
}
