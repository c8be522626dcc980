#include "qmp/ctl/text_screen.hpp"

#include <catch2/catch_test_macros.hpp>

#include <limits>

using namespace mfd::ctl;

TEST_CASE("columns are characters, not bytes, and cutting keeps them whole", "[ctl]") {
    CHECK(columns_of("a█b") == 3);
    CHECK(cut("a█b", 2) == "a█");
    CHECK(cut("a█b", 1) == "a");
    CHECK(cut("ab", 5) == "ab");
    const ScreenLine line{{"ab█", Style::Bold}, {"cd", Style::Dim}};
    CHECK(columns_of(line) == 5);
    CHECK(plain(cut(line, 4)) == "ab█c");
    CHECK(plain(cut(line, 0)).empty());
}

TEST_CASE("a name from elsewhere cannot move the cursor", "[ctl]") {
    CHECK(printable("a\x1b[2J\n\xc3\xa9") == "a?[2J???");
}

TEST_CASE("a bar is as wide as asked, whatever is to be shown", "[ctl]") {
    for (const double fraction :
         {-1.0, 0.0, 0.01, 0.5, 0.999, 1.0, 7.0, std::numeric_limits<double>::quiet_NaN()})
        for (const std::size_t columns : {0U, 1U, 7U, 40U}) {
            CHECK(columns_of(bar(fraction, columns, Glyphs::Ascii)) == columns);
            CHECK(columns_of(bar(fraction, columns, Glyphs::Unicode)) == columns);
        }
    CHECK(plain(bar(0.5, 8, Glyphs::Ascii)) == "####----");
    CHECK(plain(bar(0.5, 5, Glyphs::Unicode)) == "██▌░░");
    CHECK(plain(bar(1, 3, Glyphs::Unicode)) == "███");
    CHECK(plain(bar(0, 3, Glyphs::Unicode)) == "░░░");
}

TEST_CASE("a line keeps its left end and its right end apart", "[ctl]") {
    CHECK(plain(justified({{"left", Style::Bold}}, {{"right", Style::Plain}}, 12)) ==
          "left   right");
    CHECK(plain(justified({{"left", Style::Bold}}, {{"right", Style::Plain}}, 7)) == "left ri");
}

TEST_CASE("a plot has its axis, the newest points at the right, and marks over columns", "[ctl]") {
    const std::vector<RatePoint> points{{1024, 0}, {2048, 1024}, {4096, 4096}};
    const auto lines = rate_plot(points, 20, 4, Glyphs::Ascii);
    REQUIRE(lines.size() == 4);
    CHECK(plain(lines[0]) == "  4.00 KiB/s |     o");
    CHECK(plain(lines[1]) == "             |     #");
    CHECK(plain(lines[2]) == "             |    o#");
    CHECK(plain(lines[3]) == "           0 |   ###");
}

TEST_CASE("a plot of nothing, or with no room, is empty and has its size", "[ctl]") {
    for (const std::size_t columns : {0U, 5U, 14U, 30U}) {
        const auto lines = rate_plot({{0, 0}, {0, 0}}, columns, 3, Glyphs::Unicode);
        REQUIRE(lines.size() == 3);
        for (const auto& line : lines)
            CHECK(columns_of(line) <= columns);
    }
    CHECK(rate_plot({}, 30, 0, Glyphs::Ascii).empty());
}
