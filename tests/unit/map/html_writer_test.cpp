#include "qmp/map/html_writer.hpp"

#include <catch2/catch_test_macros.hpp>

using mfd::map::HtmlBlock;
using mfd::map::Kind;
using mfd::map::RunPacker;

TEST_CASE("runs are packed seven bits a byte, the lowest first", "[html]") {
    RunPacker runs;
    REQUIRE(runs.add({Kind::Stored, {0, 1}}).has_value());     // 5
    REQUIRE(runs.add({Kind::Zero, {1, 1000}}).has_value());    // 4000
    REQUIRE(runs.add({Kind::Differs, {1001, 2}}).has_value()); // 11
    CHECK(runs.base64() == "BaAfCw==");                        // 05 a0 1f 0b
    CHECK(RunPacker().base64().empty());
}

TEST_CASE("a page holds its data, and no name can end its script", "[html]") {
    const mfd::map::Facts facts{"</script><b>", "", mfd::map::Order::Hilbert, {{}}};
    std::vector<HtmlBlock> blocks(1);
    blocks[0].name = "</script><script>alert(1)</script>@TITLE@@DATA@";
    blocks[0].pages = 4;
    REQUIRE(blocks[0].runs.add({Kind::Zero, {0, 4}}).has_value());
    const std::string page = mfd::map::write_html(facts, blocks);
    CHECK(page.find("<title>&lt;/script&gt;&lt;b&gt;</title>") != std::string::npos);
    CHECK(page.find("\\u003c/script>\\u003cscript>alert(1)") != std::string::npos);
    CHECK(page.find("<script>alert") == std::string::npos);
    CHECK(page.find("@TITLE@@DATA@") != std::string::npos); // as it is called, not replaced
    CHECK(page.find("http://") == std::string::npos);
    CHECK(page.find("https://") == std::string::npos);
}

TEST_CASE("memory too ragged for a browser is refused", "[html]") {
    RunPacker runs;
    std::uint64_t page = 0;
    while (page < 100'000'000 && runs.add({Kind::Stored, {page, 1}}).has_value())
        ++page;
    CHECK(page == (std::uint64_t{64} << 20) + 1); // a byte each
}
