#include "qmp/json_writer.hpp"

#include "qmp/json_framer.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <limits>
#include <random>
#include <string>

using namespace mfd::qmp;

namespace {

class RandomJson {
public:
    explicit RandomJson(unsigned seed) : random_(seed) {}

    Json value(int depth) {
        switch (pick(depth > 0 ? 8 : 6)) {
        case 0:
            return nullptr;
        case 1:
            return pick(2) == 1;
        case 2:
            return static_cast<std::int64_t>(random_());
        case 3:
            return random_();
        case 4:
            return static_cast<double>(static_cast<std::int64_t>(random_())) / 1024.0;
        case 5:
            return string();
        case 6: {
            Json out = Json::array();
            for (auto left = pick(5); left > 0; --left)
                out.push_back(value(depth - 1));
            return out;
        }
        default: {
            Json out = Json::object();
            for (auto left = pick(5); left > 0; --left)
                out[string()] = value(depth - 1);
            return out;
        }
        }
    }

private:
    std::uint64_t pick(std::uint64_t below) { return random_() % below; }

    std::string string() {
        static const std::string pieces[] = {"a",      "\"",
                                             "\\",     "/",
                                             "\n",     "\x01",
                                             "\x7f",   "\xc3\xa9",
                                             "\u4e2d", "\xf0\x9f\x98\x80",
                                             "'",      std::string(1, '\0')};
        std::string out;
        for (auto left = pick(8); left > 0; --left)
            out += pieces[pick(std::size(pieces))];
        return out;
    }

    std::mt19937_64 random_;
};

bool is_printable_ascii(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

} // namespace

TEST_CASE("text looks as QEMU prints it", "[json_writer]") {
    const Json value = {{"a", {1, -2, true, nullptr}}, {"b", Json::object()}, {"c", Json::array()}};
    CHECK(write_json(value) == R"({"a": [1, -2, true, null], "b": {}, "c": []})");
    CHECK(write_json("\"\\/\b\f\n\r\t\x01\x7f") == R"("\"\\/\b\f\n\r\t\u0001\u007F")");
    CHECK(write_json("\u00e9\u4e2d\xf0\x9f\x98\x80") == R"("\u00E9\u4E2D\uD83D\uDE00")");
}

TEST_CASE("numbers keep their value and their kind", "[json_writer]") {
    CHECK(write_json(1.0) == "1");
    CHECK(write_json(0.1) == "0.10000000000000001");
    CHECK(write_json(1e19) == "1e+19");
    CHECK(write_json(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
    CHECK(write_json(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
    CHECK(write_json(std::numeric_limits<double>::infinity()) == "null");
}

TEST_CASE("bytes that are not UTF-8 come out as replacement characters", "[json_writer]") {
    CHECK(write_json("a\xff"
                     "b") == R"("a\uFFFDb")");
    CHECK(write_json("\xed\xa0\x80") == R"("\uFFFD")"); // a surrogate, as one
    CHECK(write_json("\xc3") == R"("\uFFFD")");
    CHECK(write_json("\x80\x80") == R"("\uFFFD\uFFFD")");
    CHECK(write_json("\xf0\x9f!") == R"("\uFFFD!")");
}

TEST_CASE("what is written reads back as the same value, here and elsewhere", "[json_writer]") {
    for (unsigned seed = 0; seed < 500; ++seed) {
        const Json value = RandomJson(seed).value(4);
        const std::string text = write_json(value);
        CAPTURE(seed, text);
        REQUIRE(is_printable_ascii(text));
        REQUIRE(Json::parse(text) == value);

        JsonFramer framer;
        const std::string line = text + "\n";
        std::string_view bytes = line;
        const auto item = framer.next(bytes);
        REQUIRE(item.has_value());
        REQUIRE(std::get<Json>(*item) == value);
    }
}
