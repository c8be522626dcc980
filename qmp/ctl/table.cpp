#include "qmp/ctl/table.hpp"

#include <algorithm>

namespace mfd::ctl {

std::string table(const std::vector<std::string>& titles, const std::vector<Align>& alignment,
                  const std::vector<std::vector<std::string>>& rows) {
    if (rows.empty())
        return {};
    std::vector<std::size_t> widths;
    for (std::size_t column = 0; column < titles.size(); ++column) {
        widths.push_back(titles[column].size());
        for (const auto& row : rows)
            widths[column] = std::max(widths[column], row[column].size());
    }
    std::string text;
    const auto add = [&](const std::vector<std::string>& row) {
        std::string line;
        for (std::size_t column = 0; column < row.size(); ++column) {
            const std::string pad(widths[column] - row[column].size(), ' ');
            const bool right = alignment[column] == Align::Right;
            line += (column == 0 ? "" : "  ") + (right ? pad + row[column] : row[column] + pad);
        }
        text += line.erase(line.find_last_not_of(' ') + 1) + "\n";
    };
    add(titles);
    for (const auto& row : rows)
        add(row);
    return text;
}

} // namespace mfd::ctl
