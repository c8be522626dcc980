// What the subcommands on files alone have in common.
#pragma once

#include "qmp/ctl/command.hpp"
#include "qmp/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mfd::ctl {

// "FILE", required.
CLI::Option* add_file_argument(CLI::App& command, std::string& file, const char* name = "FILE",
                               const char* text = "A saved guest");
// --offset SIZE, or by another name where there are two files.
CLI::Option* add_offset_option(CLI::App& command, std::optional<std::uint64_t>& offset,
                               const char* name = "--offset");

// Failed for what is wrong with a file, Usage for one that cannot be read or was asked for wrongly.
Exit exit_of(const Error& error);
// Says the error and gives exit_of() it.
Exit fail_on_file(std::string_view command, const Error& error);

} // namespace mfd::ctl
