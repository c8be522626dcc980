// JSON text as QEMU's monitor prints it: one line, ASCII only, ", " and ": " as separators.
#pragma once

#include "qmp/json.hpp"

#include <string>
#include <string_view>

namespace mfd::qmp {

void append_json(std::string& out, const Json& value);
// A string in quotes. What is not UTF-8 in it becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

std::string write_json(const Json& value);

} // namespace mfd::qmp
