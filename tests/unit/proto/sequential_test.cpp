#include "proto/device_state.hpp"
#include "proto/sequential.hpp"
#include "tests/support/sequential_stream.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstring>
#include <string>

using mfd::Result;
using mfd::SequentialStream;
using mfd::testing::MemorySink;
using mfd::testing::MemoryStream;
using mfd::testing::SequentialMaker;

namespace {

struct Decoded {
    Result<SequentialStream> stream;
    MemorySink sink;
};

Decoded decoded(std::span<const std::byte> bytes) {
    MemoryStream in(bytes);
    MemorySink sink;
    auto stream = mfd::decode_sequential(in, sink);
    return {std::move(stream), std::move(sink)};
}

// A stream whose only part is what `words` has put behind `part()`.
Decoded decoded_parts(SequentialMaker& words) {
    return decoded(words.end_part().close().bytes());
}

bool refused(const Decoded& result, std::string_view text) {
    return result.stream.has_error() &&
           result.stream.error().what.find(text) != std::string::npos &&
           result.stream.error().what.find("at 0x") != std::string::npos;
}

constexpr std::string_view kEarlyDescription =
    R"({"name": "mem-early", "instance_id": 0, "vmsd_name": "mem", "version": 1, )"
    R"("fields": [{"name": "a", "type": "buffer", "size": 12}]}, )";

} // namespace

TEST_CASE("pages of an ordinary stream land in their blocks", "[sequential]") {
    SequentialMaker maker;
    maker.part().named(0x0008, "ab").page('a').word(0x2028).page('c').named(0x0002, "cd").zero();
    const auto result = decoded_parts(maker);
    REQUIRE(result.stream.has_value());
    CHECK(result.sink.memory == std::vector<std::string>{"a.c", "0"});
    CHECK(result.sink.head.blocks.at(1).used_length == 0x1000);
    CHECK(result.stream->configuration.capabilities.empty());
    CHECK(result.stream->tail.devices.at(0).idstr == "timer");
    CHECK(result.stream->part_sections == 1);
}

TEST_CASE("a page that comes again counts, and so does one that became zero", "[sequential]") {
    SequentialMaker maker;
    maker.part().named(0x0008, "ab").page('1').word(0x1028).page('2').end_part();
    maker.part().named(0x1002, "ab").zero().named(0x0008, "cd").page('x').end_part();
    // The block of the page before holds on across sections.
    maker.part().word(0x0028).page('y').named(0x0008, "ab").page('3');
    const auto result = decoded_parts(maker);
    REQUIRE(result.stream.has_value());
    CHECK(result.sink.memory == std::vector<std::string>{"30.", "y"});
}

TEST_CASE("pages in the RAM section's END count as well", "[sequential]") {
    SequentialMaker maker;
    maker.part(3).named(0x0008, "cd").page('e').end_part();
    maker.device(0, "timer", 2, std::string(24, 't')).u8(0);
    const auto result = decoded(maker.bytes());
    REQUIRE(result.stream.has_value());
    CHECK(result.sink.memory == std::vector<std::string>{"...", "e"});
    CHECK(result.stream->tail.vmdescription.empty());
}

TEST_CASE("each way to send a page that is not known here is refused by name", "[sequential]") {
    const auto [flag, name] = GENERATE(table<std::uint64_t, std::string>({
        {0x001, "before 0.12"},
        {0x004, "second list"},
        {0x040, "xbzrle"},
        {0x080, "RDMA"},
        {0x100, "compress"},
        {0x200, "multifd"},
        {0x400, "Unknown combination"},
        {0x000, "Unknown combination"},
        {0x00a, "Unknown combination"},
    }));
    SequentialMaker maker;
    maker.part().named(0x0008, "ab").page('a').word(0x1000 | flag);
    CHECK(refused(decoded_parts(maker), name));
}

TEST_CASE("words that cannot be are refused", "[sequential]") {
    SequentialMaker maker;
    SECTION("a page behind its block's end") {
        maker.part().named(0x3008, "ab").page('a');
        CHECK(refused(decoded_parts(maker), "Illegal RAM offset 0x3000 in ramblock ab"));
    }
    SECTION("a block that was not listed") {
        maker.part().named(0x0008, "ef").page('a');
        CHECK(refused(decoded_parts(maker), "Can't find block ef"));
    }
    SECTION("a first page without a block") {
        maker.part().word(0x0028).page('a');
        CHECK(refused(decoded_parts(maker), "names no ramblock"));
    }
    SECTION("a zero page that is not zero") {
        maker.part().named(0x0002, "ab").u8(7);
        CHECK(refused(decoded_parts(maker), "Found a zero page with value 7"));
    }
    SECTION("a footer of another section") {
        maker.part().u64(0x10).u8(0x7e).u32(9);
        CHECK(refused(decoded_parts(maker), "Mismatched section id in footer"));
    }
    SECTION("a part of a section that never began") {
        maker.u8(2).u32(77);
        CHECK(refused(decoded_parts(maker), "Unknown savevm section 77"));
    }
    SECTION("another iterable section") {
        maker.u8(1).u32(9).str8("dirty-bitmap").u32(0).u32(1);
        CHECK(refused(decoded_parts(maker), "'dirty-bitmap'"));
    }
    SECTION("a command that wants an answer") {
        maker.u8(8).u16(2).u16(4).u32(0);
        CHECK(refused(decoded_parts(maker), "MIG_CMD 0x2"));
    }
    SECTION("an end mark before the RAM's END") {
        maker.u8(0);
        CHECK(refused(decoded_parts(maker), "not a finished save"));
    }
}

TEST_CASE("a mapped-ram stream is none of these, and is told from one", "[sequential]") {
    SequentialMaker mapped("mapped-ram");
    SequentialMaker ordinary;
    const auto bytes = mapped.close().bytes();
    CHECK(mfd::begins_mapped_ram(bytes));
    CHECK_FALSE(mfd::begins_mapped_ram(ordinary.bytes()));
    CHECK(refused(decoded(bytes), "Capability mapped-ram is off, but received capability is on"));
}

TEST_CASE("an ordinary stream cut at any length is refused, with the place", "[sequential]") {
    SequentialMaker maker;
    maker.part().named(0x0008, "ab").page('a').word(0x1022).zero().named(0x0002, "cd").zero();
    const auto bytes = maker.end_part().close().bytes();
    REQUIRE(decoded(bytes).stream.has_value());
    std::size_t wrong = 0;
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        // `timer` has a known length: the stream may do without the section behind its end mark.
        const bool ends_at_mark = length == maker.places.at("vmdescription");
        const auto result = decoded(std::span(bytes).first(length));
        wrong += result.stream.has_value() == ends_at_mark ? 0U : 1U;
        if (!ends_at_mark)
            wrong += refused(result, "") ? 0U : 1U;
    }
    CHECK(wrong == 0);
}

TEST_CASE("a flipped bit anywhere never makes the decoder read outside or crash", "[sequential]") {
    SequentialMaker maker;
    maker.device(8, "mem-early", 1, std::string(12, 'e'));
    maker.part().named(0x0008, "ab").page('a').word(0x1022).zero().end_part();
    const auto bytes = maker.close(kEarlyDescription).bytes();
    std::size_t accepted = 0;
    for (std::size_t place = 0; place < bytes.size(); ++place) {
        auto damaged = bytes;
        damaged[place] ^= std::byte{1} << (place % 8);
        accepted += decoded(damaged).stream.has_value() ? 1U : 0U;
    }
    CHECK(accepted >= mfd::kPageSize); // a page's own bytes at least
    CHECK(accepted < bytes.size());
}

TEST_CASE("devices in front of the pages end where the vmdescription says", "[sequential]") {
    SequentialMaker maker;
    std::string body(12, 'e');
    SECTION("and are kept") {
        maker.device(8, "mem-early", 1, body).part().named(0x0008, "cd").page('p');
        const auto result = decoded(maker.end_part().close(kEarlyDescription).bytes());
        REQUIRE(result.stream.has_value());
        REQUIRE(result.stream->tail.early_devices.size() == 1);
        CHECK(result.stream->tail.early_devices[0].body.size() == 12);
        CHECK(result.sink.memory.at(1) == "p");
    }
    SECTION("and one that only seems to end there is refused") {
        // A footer inside the body, behind which a section could begin.
        const std::string fake("\x7e\0\0\0\x08\x04", 6);
        maker.device(8, "mem-early", 1, fake + std::string(6, 'e')).part();
        const auto result = decoded(maker.end_part().close(kEarlyDescription).bytes());
        CHECK(result.stream.has_error());
    }
}

TEST_CASE("what the encoder writes, the decoder reads", "[sequential]") {
    const mfd::Configuration plain{"pc", {}, std::nullopt, std::nullopt};
    const std::vector<mfd::BlockSpec> blocks{{"ab", 0x3000}, {"cd", 0x1000}};
    mfd::ByteWriter out;
    out.put_bytes(mfd::encode_sequential_head(plain, blocks));
    mfd::put_part_begin(out);
    mfd::put_page_word(out, mfd::PageIndex(1), mfd::PageKind::Data, mfd::NamesBlock::Yes, "ab");
    out.put_text(std::string(mfd::kPageSize, 'q'));
    mfd::put_page_word(out, mfd::PageIndex(2), mfd::PageKind::Zero, mfd::NamesBlock::SameAsBefore,
                       "ab");
    mfd::put_part_end(out);
    const auto globalstate = mfd::make_globalstate(3, "paused");
    const auto tail = mfd::encode_tail(mfd::FileOffset(0), {true, {*globalstate}, ""});
    out.put_bytes(tail->bytes);
    const auto result = decoded(out.take_all());
    REQUIRE(result.stream.has_value());
    CHECK(result.stream->configuration == plain);
    CHECK(result.stream->tail.switchover_start);
    CHECK(result.sink.memory == std::vector<std::string>{".q0", "."});
}

TEST_CASE("a vmdescription follows the configuration, and comes back as it was", "[sequential]") {
    const mfd::Configuration mapped{"none", {"mapped-ram"}, std::nullopt, std::nullopt};
    const mfd::Configuration plain{"none", {}, std::nullopt, std::nullopt};
    const std::string text = mfd::make_vmdescription(mapped);
    const std::string other = mfd::with_configuration(text, mapped, plain);
    CHECK(other == mfd::make_vmdescription(plain));
    CHECK(mfd::with_configuration(other, plain, mapped) == text);
    CHECK(mfd::with_configuration("{}", mapped, plain) == "{}");
}
