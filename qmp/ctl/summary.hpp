// What a job has done and what a server is doing, as text for people. Pure functions.
#pragma once

#include "qmp/json.hpp"

#include <chrono>
#include <string>

namespace mfd::ctl {

// `info` is the last reply of query-migrate.
std::string save_summary(const std::string& file, const qmp::Json& info, bool direct);
std::string restore_summary(const std::string& file, const qmp::Json& info,
                            std::chrono::milliseconds elapsed, bool direct);

// `all` has the replies of query-status, query-name, query-version, query-migrate and query-memdev
// as members of these names; a member that is missing is passed over.
std::string status_text(const qmp::Json& all);

} // namespace mfd::ctl
