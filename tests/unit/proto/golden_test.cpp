// What the decoder finds in files by QEMU, against the manifest made by an independent parser.
#include "proto/decode.hpp"
#include "proto/device_state.hpp"
#include "tests/unit/proto/golden.hpp"

#include <catch2/catch_test_macros.hpp>

using mfd::DecodedStream;
using mfd::FileOffset;
using mfd::testing::Json;

namespace {

const char* type_name(mfd::SectionType type) {
    switch (type) {
    case mfd::SectionType::Start:
        return "START";
    case mfd::SectionType::Part:
        return "PART";
    case mfd::SectionType::End:
        return "END";
    case mfd::SectionType::Full:
        return "FULL";
    case mfd::SectionType::Command:
        return "COMMAND";
    }
    return "";
}

Json section_json(const mfd::SectionInfo& section, std::uint64_t total_ram) {
    Json json = {{"type", type_name(section.type)}, {"offset", section.offset.value}};
    if (section.type == mfd::SectionType::Command) {
        json["command"] = section.command;
        json["length"] = section.command_length;
        return json;
    }
    json["section_id"] = section.section_id;
    json["idstr"] = section.idstr;
    json["body_offset"] = section.body_offset.value;
    json["footer_offset"] = section.footer_offset.value;
    json["end"] = section.end.value;
    json["size"] = section.end.value - section.offset.value;
    if (section.type == mfd::SectionType::Start || section.type == mfd::SectionType::Full) {
        json["instance_id"] = section.instance_id;
        json["version_id"] = section.version_id;
    }
    if (section.type != mfd::SectionType::Full)
        json["eos_offset"] = section.eos_offset.value;
    if (section.type == mfd::SectionType::Start)
        json["total_ram"] = total_ram;
    return json;
}

std::string hex_text(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes) {
        text += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4];
        text += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

Json configuration_json(const DecodedStream& stream) {
    Json json = {{"offset", stream.configuration_offset.value},
                 {"machine", stream.configuration.machine},
                 {"end", stream.configuration_end.value},
                 {"subsections", Json::array()}};
    for (const mfd::SubsectionInfo& info : stream.subsections) {
        Json subsection = {
            {"name", info.name}, {"version", info.version}, {"offset", info.offset.value}};
        if (info.name == "configuration/capabilities")
            subsection["capabilities"] = stream.configuration.capabilities;
        if (info.name == "configuration/uuid")
            subsection["uuid"] = hex_text(stream.configuration.uuid.value());
        json["subsections"].push_back(subsection);
    }
    return json;
}

Json runs_json(const mfd::PageBitmap& bitmap) {
    Json runs = Json::array();
    for (auto run = bitmap.next_set_run(0, bitmap.pages()); run;
         run = bitmap.next_set_run(run->end(), bitmap.pages()))
        runs.push_back({run->first, run->count});
    return runs;
}

void check_block(const mfd::DecodedBlock& block, const Json& expected) {
    const mfd::BlockLayout& layout = block.layout;
    CHECK(layout.idstr == expected.at("idstr").get<std::string>());
    CHECK(layout.used_length == expected.at("used_length"));
    CHECK(layout.entry_offset.value == expected.at("header_offset"));
    CHECK(layout.header_offset.value == expected.at("mapped_ram_header_offset"));
    CHECK(block.header_version == expected.at("header_version"));
    CHECK(block.page_size == expected.at("page_size"));
    CHECK(layout.bitmap_offset.value == expected.at("bitmap_offset"));
    CHECK(layout.bitmap_size() == expected.at("bitmap_size"));
    CHECK(layout.pages_offset.value == expected.at("pages_offset"));
    CHECK(layout.pages() == expected.at("num_pages"));
    CHECK(block.bitmap.pages() == expected.at("num_pages"));
    CHECK(block.bitmap.count() == expected.at("bits_set"));
    CHECK(mfd::testing::sha256(block.bitmap.bytes()) ==
          expected.at("bitmap_sha256").get<std::string>());
    const Json no_runs;
    const Json& runs = expected.contains("set_runs") ? expected.at("set_runs") : no_runs;
    CHECK((runs.is_null() || runs_json(block.bitmap) == runs));
}

void check_structure(const DecodedStream& stream, const Json& expected) {
    CHECK(stream.stream_offset.value == expected.at("stream_offset"));
    CHECK(configuration_json(stream) == expected.at("configuration"));
    CHECK(stream.total_ram == expected.at("total_ram"));
    REQUIRE(stream.blocks.size() == expected.at("blocks").size());
    for (std::size_t i = 0; i < stream.blocks.size(); ++i)
        check_block(stream.blocks[i], expected.at("blocks")[i]);
    Json sections = Json::array();
    for (const mfd::SectionInfo& section : stream.sections)
        sections.push_back(section_json(section, stream.total_ram));
    Json in_manifest = Json::array(); // which has end mark and vmdescription as sections, too
    for (const Json& section : expected.at("sections"))
        if (section.at("type") != "EOF" && section.at("type") != "VMDESCRIPTION")
            in_manifest.push_back(section);
    CHECK(sections == in_manifest);
    CHECK(stream.part_sections == expected.at("part_sections"));
}

} // namespace

TEST_CASE("every complete sample decodes to exactly its manifest", "[golden]") {
    mfd::testing::require_golden();
    for (const Json& expected : mfd::testing::complete_samples()) {
        INFO("sample " << expected.at("name"));
        auto source = mfd::testing::open_sample(expected.at("name"));
        const auto stream = mfd::decode_stream(
            source, FileOffset(expected.at("stream_offset").get<std::uint64_t>()));
        if (!stream.has_value())
            FAIL(stream.error().what);
        check_structure(*stream, expected);
        CHECK(stream->complete);
        CHECK(stream->vmdescription_offset->value == expected.at("vmdesc").at("offset"));
        CHECK(stream->vmdescription.size() == expected.at("vmdesc").at("length"));
        CHECK(stream->end.value == expected.at("end"));
        CHECK(source.size() - stream->end.value == expected.at("trailing"));
        const bool running = expected.at("name") == "pc-live-stale-16m";
        CHECK(mfd::run_state_of(stream->devices) == (running ? "running" : "prelaunch"));
    }
}

TEST_CASE("a cancelled save is refused, and can be inspected up to its end", "[golden]") {
    mfd::testing::require_golden();
    const Json expected = mfd::testing::sample("pc-cancelled-16m");
    auto source = mfd::testing::open_sample("pc-cancelled-16m");
    const auto refused = mfd::decode_stream(source, FileOffset(0));
    REQUIRE(refused.has_error());
    CHECK(refused.error().what ==
          "check_section_footer: Read section footer failed: -5 (ram) (the file ends at "
          "0x1601116), at 0x1601116");
    CHECK(refused.error().sys == EINVAL);

    const mfd::Inspection inspection = mfd::inspect_stream(source, FileOffset(0));
    REQUIRE(inspection.problem.has_value());
    check_structure(inspection.stream, expected);
    CHECK_FALSE(inspection.stream.complete);
    CHECK(inspection.stream.end.value == expected.at("uncompressed_size"));
}

TEST_CASE("a stream is refused at any other offset than its own", "[golden]") {
    mfd::testing::require_golden();
    auto source = mfd::testing::open_sample("pc-offset-12345-16m");
    for (const std::uint64_t offset :
         {std::uint64_t{0}, std::uint64_t{0x12344}, std::uint64_t{0x12346}, ~std::uint64_t{0}}) {
        const auto refused = mfd::decode_stream(source, FileOffset(offset));
        REQUIRE(refused.has_error());
        CHECK(refused.error().what.starts_with("Not a migration stream"));
    }
}
