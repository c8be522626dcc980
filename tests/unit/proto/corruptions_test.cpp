// The 90 damaged variants of a sample, with QEMU's verdict on each.
#include "proto/decode.hpp"
#include "tests/unit/proto/golden.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <set>

using mfd::DecodedStream;
using mfd::FileOffset;
using mfd::testing::Json;

namespace {

// Nothing in a file by QEMU contradicts a page that is marked as zero.
const std::set<std::string> kNotDetectable = {"bitmap-all-clear", "bitmap-one-bit-clear"};

// The damage is in a part with no meaning; all else is as it was saved.
const std::set<std::string> kHarmless = {
    "unchanged", "padding-nonzero",
    "vmdesc-marker",              // what follows the end mark is not part of the stream then
    "truncate-in-after-end-mark", // this machine's device sections have known lengths
};

// Another name for the block is no fault of the stream: its reader has no such block.
const std::set<std::string> kOtherNames = {"idstr-unknown"};

// What we say, where it is not what QEMU says.
const std::map<std::string, std::string> kOwnTexts = {
    {"capability-count-2", "Received unknown capability"},
    {"subsection-name-unknown", "Unknown configuration subsection 'configuration/capabilitiez'"},
    {"total-one-page-less", "ramblock m0 has length 0x1003000, but only 0x1002000 bytes are left"},
    {"used-length-one-page-less", "bitmap has bits set past the last page (4098 pages)"},
    {"used-length-zero", "ramblock m0 has length 0x0, expected a positive multiple of 4096"},
    {"pages-offset-0x101000", "end past the end of the file"},
    {"pages-offset-0x0", "pages at 0x0 overlap the bitmap"},
    {"pages-offset-0x10000000000", "end past the end of the file"},
    {"pages-offset-0x8000000000000000", "end past the end of the file"},
    {"device-idstr-unknown", "Unknown savevm section or instance 'ximer' 0"},
    {"device-version-3", "savevm: unsupported version 3 for 'timer' v2"},
    {"truncate-in-configuration", "Could not read a configuration subsection"},
    {"truncate-in-used-length", "Could not read the length of ramblock m0"},
    {"truncate-in-padding", "end past the end of the file"},
    {"truncate-in-pages", "end past the end of the file"},
    {"truncate-in-last-page", "end past the end of the file"},
    {"truncate-in-start-footer", "Read section footer failed"},
    {"truncate-in-end", "Failed to read section ID"},
    {"truncate-in-device", "Failed to load device section 'globalstate'"},
    {"header-version-0x0", "mapped-ram capability version not supported (expected <= 1, got 0)"},
    {"page-size-0x0", "mapped-ram page size is 0"},
    {"bitmap-stray-tail-bits", "bits set past the last page (4099 pages)"},
    {"vmdesc-length-huge", "vmdescription ends past the end of the file"},
    {"truncate-in-vmdesc", "vmdescription ends past the end of the file"},
};

std::vector<mfd::Fragment> patches_of(const Json& damage) {
    std::vector<mfd::Fragment> patches;
    for (const Json& patch : damage.at("patch"))
        patches.push_back({FileOffset(patch.at(0).get<std::uint64_t>()),
                           mfd::testing::bytes_of_hex(patch.at(1).get<std::string>())});
    return patches;
}

std::optional<std::uint64_t> cut_of(const Json& damage) {
    if (damage.at("truncate").is_null())
        return std::nullopt;
    return damage.at("truncate").get<std::uint64_t>();
}

// QEMU's lines on standard error, with one channel.
std::vector<std::string> qemu_lines(const Json& damage) {
    const Json& verdicts = damage.at("qemu_10_0");
    return verdicts.at(verdicts.contains("both") ? "both" : "single").at("stderr");
}

bool same_ram(const DecodedStream& a, const DecodedStream& b) {
    if (a.blocks.size() != b.blocks.size())
        return false;
    for (std::size_t i = 0; i < a.blocks.size(); ++i) {
        const auto a_bits = a.blocks[i].bitmap.bytes();
        const auto b_bits = b.blocks[i].bitmap.bytes();
        if (a.blocks[i].layout != b.blocks[i].layout ||
            !std::equal(a_bits.begin(), a_bits.end(), b_bits.begin(), b_bits.end()))
            return false;
    }
    return true;
}

// Only what QEMU completes has no such line.
std::string qemu_reason(const std::vector<std::string>& lines) {
    constexpr std::string_view kPrefix = "load of migration failed: ";
    return !lines.empty() && lines.back().starts_with(kPrefix) ? lines.back().substr(kPrefix.size())
                                                               : "";
}

} // namespace

TEST_CASE("each of the 90 corruptions is refused, or changes nothing", "[golden][corruptions]") {
    mfd::testing::require_golden();
    const Json& table = mfd::testing::golden_json("corruptions.json");
    auto sound = mfd::testing::open_sample(table.at("base_sample"));
    const mfd::DecodeOptions options{.machine = "none", .limits = {}};
    const auto saved = mfd::decode_stream(sound, FileOffset(0), options);
    REQUIRE(saved.has_value());
    REQUIRE(table.at("cases").size() == 91); // and one unchanged

    for (const Json& damage : table.at("cases")) {
        const auto name = damage.at("name").get<std::string>();
        mfd::testing::DamagedSource source(sound, patches_of(damage), cut_of(damage));
        const auto loaded = mfd::decode_stream(source, FileOffset(0), options);
        INFO(name << ": " << (loaded.has_value() ? "accepted" : loaded.error().what));
        if (loaded.has_value()) {
            if (kNotDetectable.contains(name) || kOtherNames.contains(name))
                continue;
            CHECK(kHarmless.contains(name));
            CHECK(same_ram(*saved, *loaded));
            continue;
        }
        CHECK_FALSE(kHarmless.contains(name));
        CHECK(loaded.error().what.find(", at 0x") != std::string::npos);
        const auto lines = qemu_lines(damage);
        const auto own = kOwnTexts.find(name);
        if (own != kOwnTexts.end())
            CHECK(loaded.error().what.find(own->second) != std::string::npos);
        else if (lines.size() > 1) // the first line names the cause, the last the errno
            CHECK(loaded.error().what.find(lines.front()) != std::string::npos);
        if (const std::string reason = qemu_reason(lines);
            !reason.empty() && name != "truncate-in-configuration")
            CHECK(mfd::errno_text(loaded.error().sys) == reason);
    }
}
