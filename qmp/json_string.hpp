// The value of a JSON string token: escapes and UTF-8. Pure function, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mfd::qmp {

// `token` comes from JsonLexer, quotes included. Returns the fault, if there is one.
std::optional<std::string> unquote(std::string_view token, std::string& out);

} // namespace mfd::qmp
