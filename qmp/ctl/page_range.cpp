#include "qmp/ctl/page_range.hpp"

#include <charconv>
#include <optional>
#include <string>

namespace mfd::ctl {

namespace {

std::optional<std::uint64_t> number(std::string_view text) {
    const bool is_hex = text.starts_with("0x") || text.starts_with("0X");
    if (is_hex)
        text.remove_prefix(2);
    std::uint64_t value = 0;
    const auto [stop, fault] =
        std::from_chars(text.data(), text.data() + text.size(), value, is_hex ? 16 : 10);
    if (fault != std::errc() || stop != text.data() + text.size())
        return std::nullopt;
    return value;
}

} // namespace

Result<PageRun> parse_page_range(std::string_view text, std::uint64_t pages) {
    if (text.empty())
        return PageRun{0, pages};
    const auto dash = text.find('-');
    const auto first = number(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
    if (!first || !last || *last < *first)
        return bad_argument("'" + std::string(text) + "' names no pages: write 5, 0x10 or 5-8");
    if (*last >= pages)
        return bad_argument("page " + std::to_string(*last) + " is not in the block, which has " +
                            std::to_string(pages));
    return PageRun{*first, *last - *first + 1};
}

std::string page_range_text(PageRun run) {
    std::string text = std::to_string(run.first);
    if (run.count > 1)
        text += "-" + std::to_string(run.end() - 1);
    return text;
}

} // namespace mfd::ctl
