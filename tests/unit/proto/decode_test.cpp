#include "proto/decode.hpp"
#include "proto/encode.hpp"
#include "proto/plan.hpp"
#include "tests/support/byte_sources.hpp"
#include "tests/unit/proto/small_stream.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <span>

using mfd::ByteWriter;
using mfd::DecodeOptions;
using mfd::FileOffset;
using mfd::testing::make_small_stream;
using Bytes = std::vector<std::byte>;

namespace {

mfd::Result<mfd::DecodedStream> decode(const Bytes& bytes, const DecodeOptions& options = {}) {
    mfd::testing::MemorySource source(bytes);
    return mfd::decode_stream(source, FileOffset(0), options);
}

// The text of the error; "accepted" if there is none.
std::string refusal(const Bytes& bytes, const DecodeOptions& options = {}) {
    const auto decoded = decode(bytes, options);
    return decoded.has_value() ? "accepted" : decoded.error().what;
}

std::string place_of(std::size_t at) {
    return ", at 0x" + [at] {
        std::string text;
        for (std::size_t rest = at; rest != 0; rest /= 16)
            text.insert(text.begin(), "0123456789abcdef"[rest % 16]);
        return text;
    }();
}

Bytes str8(std::string_view text) {
    ByteWriter out;
    out.put_str8(text);
    return out.take_all();
}

} // namespace

TEST_CASE("a hand-made stream decodes to what was put in", "[decode]") {
    const auto small = make_small_stream();
    const auto stream = decode(small.bytes);
    if (!stream.has_value())
        FAIL(stream.error().what);
    CHECK(stream->configuration.machine == "none");
    CHECK(stream->configuration.uuid.has_value());
    CHECK(stream->configuration.target_page_bits == 12U);
    CHECK(stream->total_ram == 0x4000);
    REQUIRE(stream->blocks.size() == 2);
    CHECK(stream->blocks[0].layout.idstr == "ab");
    CHECK(stream->blocks[0].layout.slots_end() == FileOffset(0x4000));
    CHECK(stream->blocks[0].bitmap.test(0));
    CHECK_FALSE(stream->blocks[0].bitmap.test(1));
    CHECK(stream->blocks[0].bitmap.test(2));
    CHECK(stream->blocks[1].layout.idstr == "cd");
    REQUIRE(stream->early_devices.size() == 1);
    CHECK(stream->early_devices[0].idstr == "dimm/mem-early");
    CHECK(stream->early_devices[0].body == Bytes(6, std::byte{'e'}));
    REQUIRE(stream->devices.size() == 2);
    CHECK(stream->devices[1].idstr == "dev");
    CHECK(stream->devices[1].instance_id == 1);
    CHECK(stream->devices[1].body.size() == 4 + 2 + 5 + 4 + 1);
    CHECK(stream->part_sections == 1);
    CHECK(stream->switchover_start);
    CHECK(stream->complete);
    CHECK(stream->end == FileOffset(small.bytes.size()));
    CHECK(refusal(small.bytes, {.machine = "none", .limits = {}}) == "accepted");
    CHECK(refusal(small.bytes, {.machine = "pc", .limits = {}}) ==
          "Machine type received is 'none' and local is 'pc', at 0xd");
}

TEST_CASE("what follows the stream is not part of it", "[decode]") {
    auto bytes = make_small_stream().bytes;
    const std::size_t end = bytes.size();
    bytes.insert(bytes.end(), 5000, std::byte{0x06});
    const auto stream = decode(bytes);
    REQUIRE(stream.has_value());
    CHECK(stream->end == FileOffset(end));
}

TEST_CASE("device state that looks like a vmdescription does not mislead", "[decode]") {
    ByteWriter fake;
    const std::string_view text = R"({"devices":[]})";
    fake.put_big(std::uint8_t{6}).put_big(static_cast<std::uint32_t>(text.size())).put_text(text);
    const auto small = make_small_stream();
    const auto stream = decode(small.with_bytes("timer_body", fake.take_all()));
    REQUIRE(stream.has_value());
    CHECK(stream->devices.size() == 2);
    CHECK(stream->vmdescription_offset == FileOffset(small.at("vmdesc_mark")));
}

TEST_CASE("numbers of header and configuration are taken at their value only", "[decode]") {
    const auto small = make_small_stream();
    using U32 = std::uint32_t;
    // Without the magic number a sound version makes it no stream either.
    for (const U32 magic : {U32{0}, U32{1}, ~U32{0}})
        CHECK(refusal(small.with("magic", magic)) == "Not a migration stream, at 0x0");
    for (const U32 version : {U32{0}, U32{1}, U32{4}, ~U32{0}}) {
        const auto refused = decode(small.with("version", version));
        REQUIRE(refused.has_error());
        CHECK(refused.error().what.starts_with("Unsupported migration stream version"));
        CHECK(refused.error().sys == EOPNOTSUPP);
    }
    CHECK(refusal(small.with("machine_length", U32{0})).starts_with("Capability mapped-ram is on"));
    CHECK(refusal(small.with("machine_length", U32{256})) ==
          "Machine type is 256 bytes long, expected at most 255, at 0x9");
    CHECK(refusal(small.with("machine_length", ~U32{0})).starts_with("Machine type is 4294967295"));
    CHECK(refusal(small.with_bytes("machine", Bytes(1, std::byte{0})))
              .starts_with("Machine type '\\x00one' contains a zero byte"));
    CHECK(refusal(small.with("capabilities_version", U32{0})) ==
          "configuration/capabilities: incoming version_id 0 is too old for local minimum "
          "version_id  1" +
              place_of(small.at("capabilities_version")));
    CHECK(refusal(small.with("capabilities_version", ~U32{0})).find("too new") !=
          std::string::npos);
    CHECK(refusal(small.with("capability_count", U32{65})) ==
          "configuration/capabilities: 65 capabilities, expected at most 64" +
              place_of(small.at("capability_count")));
    CHECK(refusal(small.with("capability_count", U32{64}))
              .starts_with("Received unknown capability "));
    for (const U32 bits : {U32{0}, U32{11}, U32{13}, ~U32{0}})
        CHECK(refusal(small.with("page_bits", bits)) ==
              "Received TARGET_PAGE_BITS is " + std::to_string(bits) + " but local is 12" +
                  place_of(small.at("page_bits")));
}

TEST_CASE("capabilities that change the format are refused, others pass", "[decode]") {
    const auto small = make_small_stream();
    auto ignore_shared = small;
    ignore_shared.bytes = small.with_inserted("capability", str8("x-ignore-shared"));
    CHECK(refusal(ignore_shared.with("capability_count", std::uint32_t{2})) ==
          "Capability x-ignore-shared is off, but received capability is on" +
              place_of(small.at("capability")));
    // Page areas are at absolute offsets, so bytes put in must come out of the padding.
    CHECK(refusal(small.without("capabilities", "uuid")) ==
          "Capability mapped-ram is on, but received capability is off" +
              place_of(small.at("start") - (small.at("uuid") - small.at("capabilities"))));
    CHECK(refusal(small.without("uuid", "page_bits_section")).starts_with("ramblock ab: bitmap"));
    auto twice = small;
    const Bytes subsection(small.bytes.begin() +
                               static_cast<std::ptrdiff_t>(small.at("capabilities")),
                           small.bytes.begin() + static_cast<std::ptrdiff_t>(small.at("uuid")));
    CHECK(refusal(small.with_inserted("uuid", subsection)) ==
          "configuration/capabilities is there twice" + place_of(small.at("uuid")));
}

TEST_CASE("the RAM section's own fields are taken at their value only", "[decode]") {
    const auto small = make_small_stream();
    for (const std::uint8_t type : std::to_array<std::uint8_t>({5, 6, 7, 9, 0x7e, 0xff}))
        CHECK(refusal(small.with("start", type)) ==
              "Unknown savevm section type " + std::to_string(type) + place_of(small.at("start")));
    for (const std::uint8_t type : std::to_array<std::uint8_t>({2, 3, 4, 8}))
        CHECK(refusal(small.with("start", type)).starts_with("section of type "));
    CHECK(refusal(small.with("start", std::uint8_t{0})).starts_with("end mark where the RAM"));
    CHECK(refusal(small.with("start_id", std::uint32_t{2}))
              .starts_with("Mismatched section id in footer for ram - read 0x1 expected 0x2"));
    CHECK(refusal(small.with("start_instance", ~std::uint32_t{0}))
              .starts_with("Unknown savevm section or instance 'ram' 4294967295. Make sure"));
    for (const std::uint32_t version : {0U, 3U})
        CHECK(refusal(small.with("start_version", version))
                  .starts_with("error while loading state for instance 0x0 of device 'ram'"));
    for (const std::uint32_t version : {5U, ~0U})
        CHECK(refusal(small.with("start_version", version)).starts_with("savevm: unsupported"));
}

TEST_CASE("the total has to be used up exactly", "[decode]") {
    const auto small = make_small_stream();
    const auto with_total = [&](std::uint64_t total) {
        return refusal(small.with("total", total | 4));
    };
    CHECK(with_total(0x4000) == "accepted");
    CHECK(with_total(0).starts_with("Unknown combination of migration flags"));
    CHECK(with_total(0x1000).starts_with("ramblock ab has length 0x3000, but only 0x1000"));
    CHECK(with_total(0x2000).starts_with("ramblock ab has length 0x3000, but only 0x2000"));
    CHECK(with_total(0x3000).starts_with("Unknown combination of migration flags"));
    CHECK(with_total(0x5000).starts_with("Unknown ramblock \"\""));
    CHECK(with_total(std::uint64_t{1} << 46).starts_with("Unknown ramblock \"\""));
    CHECK(with_total((std::uint64_t{1} << 46) + 0x1000).find("more than the limit") !=
          std::string::npos);
    CHECK(with_total(~std::uint64_t{0xfff}).find("more than the limit") != std::string::npos);
}

TEST_CASE("limits refuse what is one past them and take what reaches them", "[decode]") {
    const auto small = make_small_stream();
    DecodeOptions exact;
    exact.limits.ram_bytes = 0x4000;
    exact.limits.blocks = 2;
    exact.limits.sections = 7;
    exact.limits.device_state_bytes = 6 + 24 + 16;
    exact.limits.vmdescription_bytes = small.bytes.size() - small.at("vmdesc_text");
    CHECK(refusal(small.bytes, exact) == "accepted");
    DecodeOptions less = exact;
    less.limits.ram_bytes -= 0x1000;
    CHECK(refusal(small.bytes, less).find("more than the limit of 0x3000") != std::string::npos);
    less = exact;
    less.limits.blocks -= 1;
    CHECK(refusal(small.bytes, less).starts_with("RAM section lists more than 1 blocks"));
    less = exact;
    less.limits.sections -= 1;
    CHECK(refusal(small.bytes, less).starts_with("stream has more than 6 sections"));
    less = exact;
    less.limits.device_state_bytes -= 1;
    CHECK(refusal(small.bytes, less).find("more device state than the limit") != std::string::npos);
    less = exact;
    less.limits.vmdescription_bytes -= 1;
    CHECK(refusal(small.bytes, less).find("vmdescription, which is missing or damaged") !=
          std::string::npos);
}

TEST_CASE("a block's name and length are checked", "[decode]") {
    const auto small = make_small_stream();
    CHECK(refusal(small.with_bytes("b_entry", str8("ab"))) ==
          "ramblock ab is listed twice" + place_of(small.at("b_entry")));
    CHECK(refusal(small.with("a_entry", std::uint8_t{0})).starts_with("Unknown ramblock \"\""));
    CHECK(refusal(small.with_bytes("a_entry", str8(std::string_view("a\0", 2))))
              .find("contains a zero byte") != std::string::npos);
    for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0xfff},
                                       std::uint64_t{0x1001}, ~std::uint64_t{0}})
        CHECK(refusal(small.with("a_length", length)).find("positive multiple of 4096") !=
              std::string::npos);
    CHECK(refusal(small.with("a_length", std::uint64_t{0x2000})) != "accepted");
    CHECK(refusal(small.with("a_length", std::uint64_t{0x5000}))
              .starts_with("ramblock ab has length 0x5000, but only 0x4000 bytes are left"));
    CHECK(refusal(small.with("a_length", ~std::uint64_t{0xfff})).find("are left") !=
          std::string::npos);
}

TEST_CASE("a mapped-ram header is taken only as QEMU writes it", "[decode]") {
    const auto small = make_small_stream();
    CHECK(refusal(small.with("b_header", std::uint32_t{0})).find("got 0)") != std::string::npos);
    CHECK(refusal(small.with("b_header", std::uint32_t{2})) ==
          "ramblock cd: Migration mapped-ram capability version not supported (expected <= 1, "
          "got 2)" +
              place_of(small.at("b_header")));
    CHECK(refusal(small.with("b_header", ~std::uint32_t{0})).find("got -1)") != std::string::npos);
    for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{512},
                                     std::uint64_t{4095}, std::uint64_t{8192}, ~std::uint64_t{0}})
        CHECK(refusal(small.with("a_page_size", size)) ==
              "ramblock ab: mapped-ram page size is " + std::to_string(size) + ", expected 4096" +
                  place_of(small.at("a_page_size")));
    const std::uint64_t bitmap = small.at("a_bitmap");
    for (const std::uint64_t offset : {std::uint64_t{0}, bitmap - 1, bitmap + 1, bitmap + 8})
        CHECK(refusal(small.with("a_bitmap_offset", offset))
                  .starts_with("ramblock ab: bitmap offset is"));
    for (const std::uint64_t offset : {small.bytes.size() - 7, ~std::uint64_t{0}})
        CHECK(refusal(small.with("a_bitmap_offset", offset)).find("Error reading dirty bitmap") !=
              std::string::npos);
    for (const std::uint64_t offset : {std::uint64_t{1}, std::uint64_t{0x1200}, ~std::uint64_t{0}})
        CHECK(refusal(small.with("a_pages_offset", offset))
                  .starts_with("Error reading ramblock ab pages, region has bad alignment"));
    CHECK(refusal(small.with("a_pages_offset", std::uint64_t{0})).find("overlap the bitmap") !=
          std::string::npos);
    CHECK(refusal(small.with("b_pages_offset", std::uint64_t{0x4000})).find("overlap") !=
          std::string::npos);
    CHECK(refusal(small.with("a_pages_offset", std::uint64_t{0x2000})) != "accepted");
    for (const std::uint64_t offset :
         {~std::uint64_t{0xfff}, std::uint64_t{1} << 63, std::uint64_t{0x7000}})
        CHECK(refusal(small.with("a_pages_offset", offset)).find("past the end of the file") !=
              std::string::npos);
    CHECK(
        refusal(small.with("a_bitmap", std::uint8_t{0x0d})).find("past the last page (3 pages)") !=
        std::string::npos);
    CHECK(refusal(small.with("a_bitmap", std::uint8_t{0x07})) == "accepted");
}

TEST_CASE("pages may not begin inside their bitmap", "[decode]") {
    const std::vector<mfd::BlockSpec> blocks{{"ab", 0x3000}};
    // A bitmap of eight bytes, four of them on either side of a page's boundary of the file.
    const auto bitmap_at = [&](std::uint64_t stream_offset) {
        return mfd::plan_stream(FileOffset(stream_offset), {}, blocks)->blocks[0].bitmap_offset;
    };
    const std::uint64_t offset = 0x2000 - 4 - bitmap_at(0).value;
    auto plan = *mfd::plan_stream(FileOffset(offset), {}, blocks);
    REQUIRE(plan.blocks[0].bitmap_offset == FileOffset(0x2000 - 4));
    mfd::testing::SparseSource file;
    const auto refused_with_pages_at = [&](std::uint64_t pages) {
        plan.blocks[0].pages_offset = FileOffset(pages);
        for (const mfd::Fragment& piece : mfd::encode_head(plan))
            file.put(piece);
        file.set_size(1 << 20);
        const auto decoded = mfd::decode_stream(file, FileOffset(offset));
        return decoded.has_value() ? std::string("accepted") : decoded.error().what;
    };
    CHECK(refused_with_pages_at(0x2000).find("pages at 0x2000 overlap the bitmap, which ends at "
                                             "0x2004") != std::string::npos);
    CHECK(refused_with_pages_at(0x3000).find("overlap") == std::string::npos);
}

TEST_CASE("RAM words and footers are taken at their value only", "[decode]") {
    const auto small = make_small_stream();
    for (const std::string section : {"start", "part", "end"}) {
        for (const auto flag : std::to_array<std::uint64_t>({0x02, 0x08, 0x40, 0x80, 0x200}))
            CHECK(refusal(small.with(section + "_eos", flag))
                      .find("Unexpected RAM flags: " + std::to_string(flag)) != std::string::npos);
        for (const auto flag : std::to_array<std::uint64_t>({0x00, 0x04, 0x20, 0x30, 0x100, 0x14}))
            CHECK(refusal(small.with(section + "_eos", flag))
                      .find("Unknown combination of migration flags: 0x") != std::string::npos);
        CHECK(refusal(small.with(section + "_eos", std::uint64_t{0x1010})).find("expected 0x10") !=
              std::string::npos);
    }
    for (const std::string section : {"start", "early", "part", "end", "timer", "dev"}) {
        CHECK(refusal(small.with(section + "_footer", std::uint8_t{0x7f}))
                  .starts_with("Missing section footer for "));
        CHECK(refusal(small.with(section + "_footer_id", std::uint32_t{99}))
                  .starts_with("Mismatched section id in footer for "));
    }
    CHECK(refusal(small.with("part_id", std::uint32_t{2})) ==
          "Unknown savevm section 2" + place_of(small.at("part_id")));
    CHECK(refusal(small.with("end_id", ~std::uint32_t{0})) ==
          "Unknown savevm section 4294967295" + place_of(small.at("end_id")));
}

TEST_CASE("the order of sections is kept to", "[decode]") {
    const auto small = make_small_stream();
    CHECK(refusal(small.without("end", "timer")).starts_with("end mark without an END"));
    auto no_command = small;
    no_command.bytes = small.without("command", "end");
    CHECK(refusal(no_command.with("part", std::uint8_t{3})).find("behind its END") !=
          std::string::npos);
    CHECK(refusal(small.with("end", std::uint8_t{2})).starts_with("end mark without an END"));
    CHECK(refusal(small.without("command", "end")) == "accepted");
    CHECK(refusal(small.without("part", "command")) == "accepted");
    CHECK(refusal(small.with("command_id", std::uint16_t{10}))
              .starts_with("MIG_CMD 0xa unknown (len 0x0)"));
    const auto bad_length = decode(small.with("command_length", std::uint16_t{1}));
    REQUIRE(bad_length.has_error());
    CHECK(bad_length.error().sys == ERANGE);
    const Bytes command = {std::byte{8}, std::byte{0}, std::byte{11}, std::byte{0}, std::byte{0}};
    CHECK(refusal(small.with_inserted("end", command))
              .starts_with("SWITCHOVER_START received twice"));
    CHECK(refusal(small.with_inserted("timer", command)).starts_with("SWITCHOVER_START received"));
    const Bytes start(small.bytes.begin() + static_cast<std::ptrdiff_t>(small.at("start")),
                      small.bytes.begin() + static_cast<std::ptrdiff_t>(small.at("a_entry")));
    CHECK(refusal(small.with_inserted("part", start)).starts_with("a second START of section ram"));
    auto vfio = start;
    vfio[6] = std::byte{'v'};
    CHECK(refusal(small.with_inserted("part", vfio)).find("'vam': iterable sections other") !=
          std::string::npos);
}

TEST_CASE("devices have to be as the vmdescription lists them", "[decode]") {
    const auto small = make_small_stream();
    CHECK(refusal(small.with_bytes("dev_idstr", str8("dex")))
              .starts_with("Unknown savevm section or instance 'dex' 1: the vmdescription has "
                           "'dev' 1 here"));
    CHECK(refusal(small.with("dev_instance", std::uint32_t{2})).find("the vmdescription has") !=
          std::string::npos);
    CHECK(refusal(small.with("dev_version", std::uint32_t{8})) ==
          "savevm: unsupported version 8 for 'dev' v9 of the vmdescription" +
              place_of(small.at("dev_body")));
    CHECK(refusal(small.without("dev", "end_mark")).find("lists device 'dev' as well") !=
          std::string::npos);
    const Bytes timer(small.bytes.begin() + static_cast<std::ptrdiff_t>(small.at("timer")),
                      small.bytes.begin() + static_cast<std::ptrdiff_t>(small.at("dev")));
    CHECK(refusal(small.with_inserted("end_mark", timer)).find("does not list it") !=
          std::string::npos);
    CHECK(refusal(small.with_bytes("dev_idstr", str8("ram"))).find("whole-device section") !=
          std::string::npos);
    CHECK(refusal(small.with("vmdesc_mark", std::uint8_t{7})).find("missing or damaged") !=
          std::string::npos);
    CHECK(refusal(small.with_inserted("vmdesc_mark", Bytes(1, std::byte{0})))
              .find("but the vmdescription is at") != std::string::npos);
}

TEST_CASE("a source that cannot be read gives its own error", "[decode]") {
    struct FailingSource : mfd::ByteSource {
        [[nodiscard]] std::uint64_t size() const override { return 1 << 20; }
        mfd::Result<void> read_at(FileOffset, std::span<std::byte>) override {
            return mfd::make_sys_error("read the file", EIO);
        }
    };
    FailingSource source;
    const auto decoded = mfd::decode_stream(source, FileOffset(0));
    REQUIRE(decoded.has_error());
    CHECK(decoded.error().code == mfd::Errc::Io);
    CHECK(decoded.error().what == "read the file: Input/output error");
}
