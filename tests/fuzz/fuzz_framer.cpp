// Any bytes as what a client sends: the messages do not depend on how the bytes arrive, and every
// value survives being written and read again.
#include "qmp/json_framer.hpp"
#include "qmp/json_writer.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace mfd::qmp;

// In pieces of lengths that follow from `pattern`; 0 is everything at once.
std::vector<JsonItem> frame(std::string_view bytes, unsigned pattern) {
    JsonFramer framer;
    std::vector<JsonItem> items;
    while (!bytes.empty()) {
        const std::size_t length = pattern == 0 ? bytes.size() : 1 + pattern % 7;
        pattern = pattern == 0 ? 0 : pattern * 1103515245U + 12345U;
        std::string_view piece = bytes.substr(0, length);
        bytes.remove_prefix(piece.size());
        while (auto item = framer.next(piece))
            items.push_back(std::move(*item));
    }
    return items;
}

bool same(const JsonItem& a, const JsonItem& b) {
    if (a.index() != b.index())
        return false;
    const auto* fault = std::get_if<JsonFault>(&a);
    return fault != nullptr ? fault->desc == std::get<JsonFault>(b).desc
                            : std::get<Json>(a) == std::get<Json>(b);
}

void require(bool condition) {
    if (!condition)
        std::abort();
}

} // namespace

// libFuzzer's name. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto whole = frame(bytes, 0);
    const auto pieces = frame(bytes, data[0] + 1U);
    require(std::equal(whole.begin(), whole.end(), pieces.begin(), pieces.end(), same));

    for (const JsonItem& item : whole) {
        const auto* value = std::get_if<Json>(&item);
        const std::string line =
            value != nullptr ? write_json(*value) : write_json(std::get<JsonFault>(item).desc);
        require(std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; }));
        if (value == nullptr)
            continue;
        const auto again = frame(line + "\n", 0);
        require(again.size() == 1);
        // 1.0 is written as 1, and nlohmann's comparison looks past that.
        require(same(again.front(), item));
    }
    return 0;
}
