// Environment files as systemd.exec(5) describes them, as far as single lines go.
#pragma once

#include "proto/error.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace mfd {

// The value of the last line NAME=VALUE of `text`, without quotes around it; nothing if there is no
// such line. Empty lines and those that begin with # or ; do not count.
[[nodiscard]] std::optional<std::string> find_assignment(std::string_view text,
                                                         std::string_view name);

// The same for a file of at most 64 KiB.
[[nodiscard]] Result<std::optional<std::string>> read_assignment(const std::string& path,
                                                                 std::string_view name);

} // namespace mfd
