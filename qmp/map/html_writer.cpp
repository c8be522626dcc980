#include "qmp/map/html_writer.hpp"

#include "qmp/json.hpp"
#include "qmp/map/markup.hpp"

#include <algorithm>
#include <string_view>

namespace mfd::map {

namespace {

using qmp::Json;

constexpr std::size_t kMostBytes = std::size_t{64} << 20; // chosen: what a browser still takes
constexpr std::uint32_t kMostSide = 1U << 26;             // no limit: a page is a cell

Json block_data(const HtmlBlock& block) {
    const Grid grid = plan_grid(block.pages, kMostSide, kMostSide);
    Json out = {{"name", block.name},      {"pages", block.pages}, {"slots", block.slots},
                {"columns", grid.columns}, {"rows", grid.rows},    {"runs", block.runs.base64()}};
    for (const Kind kind : kAllKinds)
        out["counts"].push_back(block.counts[kind]);
    out["addresses"] = Json::array();
    for (const files::GuestRange& range : block.addresses)
        out["addresses"].push_back({range.pages.first, range.pages.count, range.address});
    return out;
}

Json page_data(const Facts& facts, std::span<const HtmlBlock> blocks) {
    const auto colours = palette(Theme::Paper);
    Json out = {{"file", facts.file},
                {"against", facts.against},
                {"order", facts.order == Order::Hilbert ? "hilbert" : "rows"},
                {"kinds", Json::array()},
                {"blocks", Json::array()}};
    for (const Kind kind : kAllKinds) {
        Json entry = {{"name", kind_name(kind)}, {"meaning", kind_meaning(kind)}};
        for (std::uint8_t quarters = 1; quarters <= 4; ++quarters)
            entry["colours"].push_back(css_colour(colours[ink_of({kind, quarters})]));
        out["kinds"].push_back(std::move(entry));
    }
    for (const HtmlBlock& block : blocks)
        out["blocks"].push_back(block_data(block));
    return out;
}

// Inside <script> only "</" could end it, and "<!--" confuse.
std::string script_safe(const std::string& json) {
    std::string out;
    for (const char c : json)
        out += c == '<' ? std::string("\\u003c") : std::string(1, c);
    return out;
}

std::string replaced(std::string text, std::string_view mark, const std::string& by) {
    const auto at = text.find(mark);
    return at == std::string::npos ? text : text.replace(at, mark.size(), by);
}

} // namespace

Result<void> RunPacker::add(const KindRun& run) {
    if (bytes_.size() > kMostBytes)
        return Error{Errc::Unsupported,
                     "the memory is too ragged for an HTML file: take one block with --block, or "
                     "make an .svg or .png",
                     0};
    std::uint64_t value = run.pages.count << 2 | static_cast<std::uint64_t>(run.kind);
    for (; value >= 0x80; value >>= 7)
        bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
    return {};
}

std::string RunPacker::base64() const {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes_.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes_.size(); at += 3) {
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8 |
                    (at + i < bytes_.size() ? static_cast<unsigned char>(bytes_[at + i]) : 0U);
        const std::size_t digits = std::min<std::size_t>(bytes_.size() - at, 3) + 1;
        for (std::size_t i = 0; i < 4; ++i)
            out += i < digits ? kDigits[group >> (18 - 6 * i) & 63U] : '=';
    }
    return out;
}

std::string write_html(const Facts& facts, std::span<const HtmlBlock> blocks) {
    constexpr bool kAscii = true;
    const std::string data =
        page_data(facts, blocks).dump(-1, ' ', kAscii, Json::error_handler_t::replace);
    // The data last: what they hold is not searched for marks.
    return replaced(replaced(kViewer, "@TITLE@", escape_markup(facts.file)), "@DATA@",
                    script_safe(data));
}

} // namespace mfd::map
