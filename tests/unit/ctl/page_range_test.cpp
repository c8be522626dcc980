#include "qmp/ctl/page_range.hpp"

#include <catch2/catch_test_macros.hpp>

using mfd::PageRun;
using mfd::ctl::page_range_text;
using mfd::ctl::parse_page_range;

TEST_CASE("pages are named one by one, from to, or not at all", "[page_range]") {
    CHECK(*parse_page_range("", 7) == PageRun{0, 7});
    CHECK(*parse_page_range("0", 7) == PageRun{0, 1});
    CHECK(*parse_page_range("0x6", 7) == PageRun{6, 1});
    CHECK(*parse_page_range("2-0X4", 7) == PageRun{2, 3});
    CHECK(*parse_page_range("3-3", 7) == PageRun{3, 1});
}

TEST_CASE("pages outside of the block and texts of another shape are refused", "[page_range]") {
    for (const char* text : {"7", "0-7", "3-2", "-", "3-", "-3", "a", "0x", "1 2", "1-2-3", "+1",
                             "18446744073709551616"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_page_range(text, 7).has_value());
    }
}

TEST_CASE("a run of pages is shown as it can be given", "[page_range]") {
    CHECK(page_range_text({5, 1}) == "5");
    CHECK(page_range_text({5, 4}) == "5-8");
}
