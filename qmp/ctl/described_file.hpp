// A file to be passed to a server, as people describe it.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <string>

namespace mfd::ctl {

// "FILE:MODE"; MODE is r, w or rw, with "+direct", "+creat", "+trunc", "+append" behind it.
Result<UniqueFd> open_described(const std::string& text);

} // namespace mfd::ctl
