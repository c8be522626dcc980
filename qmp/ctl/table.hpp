// Tables for people: columns of equal width, two blanks apart. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mfd::ctl {

enum class Align : std::uint8_t { Left, Right };

// One line for each row, behind a line with the titles. Without rows it is empty. Texts are ASCII.
std::string table(const std::vector<std::string>& titles, const std::vector<Align>& alignment,
                  const std::vector<std::vector<std::string>>& rows);

} // namespace mfd::ctl
