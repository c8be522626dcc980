#include "proto/text.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace mfd {
namespace {

TEST_CASE("a name out of a file is shown in ASCII, and cut where it is long", "[text]") {
    CHECK(printable("pc.ram") == "pc.ram");
    CHECK(printable("a\x1b[2J\x7f\xc3\xa9") == "a\\x1b[2J\\x7f\\xc3\\xa9");
    CHECK(printable(std::string(64, 'm')) == std::string(64, 'm'));
    CHECK(printable(std::string(65, 'm')) == std::string(64, 'm') + "...");
}

TEST_CASE("a path is shown whole, in UTF-8, without control characters", "[text]") {
    const std::string path = "/srv/" + std::string(300, 'd') + "/g\xc3\xa4st.mig";
    CHECK(printable_path(path) == path);
    CHECK(printable_path("a\nb\x1b[2Jc\x7f") == "a\\x0ab\\x1b[2Jc\\x7f");
    // Control characters beyond ASCII; the same last byte after another first one is a letter.
    CHECK(printable_path("\xc2\x9b"
                         "31m") == "\xc2\\x9b31m");
    CHECK(printable_path("\xc3\x9b\xc2\xa0") == "\xc3\x9b\xc2\xa0");
}

} // namespace
} // namespace mfd
