// Members of a server's reply, looked at with care: what is missing or of another type comes out as
// the empty value. The tool shows replies, it does not judge them.
#pragma once

#include "qmp/json.hpp"

#include <cstdint>
#include <string>

namespace mfd::ctl {

std::uint64_t number_in(const qmp::Json& object, const char* name);
std::string text_in(const qmp::Json& object, const char* name);
bool flag_in(const qmp::Json& object, const char* name);
qmp::Json object_in(const qmp::Json& object, const char* name);
qmp::Json array_in(const qmp::Json& object, const char* name);

} // namespace mfd::ctl
