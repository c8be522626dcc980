// Capabilities and the right to gain new ones. Of the calling thread and those it makes.
#pragma once

#include "proto/error.hpp"

namespace mfd {

// For good: no program that is executed gets more rights than this process has.
Result<void> set_no_new_privileges();

// Empties every set of capabilities: effective, permitted, inheritable, ambient and, where the
// process may do that (CAP_SETPCAP), the bounding set. Without the right to, the bounding set is of
// no use to anybody after set_no_new_privileges().
Result<void> drop_capabilities();

} // namespace mfd
