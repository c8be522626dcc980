// Names for jobs, by which their messages are found in the log.
#pragma once

#include <string>

namespace mfd {

// 32 hexadecimal digits at random, in the form of systemd's ids.
[[nodiscard]] std::string make_job_id();

} // namespace mfd
