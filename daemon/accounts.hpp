// Users and groups as options name them: a number, or a name of the system's account databases.
// Before the sandbox: looking names up opens files and loads modules.
#pragma once

#include "proto/error.hpp"

#include <string>

#include <sys/types.h>

namespace mfd {

Result<uid_t> find_user(const std::string& number_or_name);
Result<gid_t> find_group(const std::string& number_or_name);

} // namespace mfd
