// Resource limits of the process.
#pragma once

#include "proto/error.hpp"

#include <cstdint>

namespace mfd {

// Raises the soft limit of open descriptors to the hard one: fdsets and connections may need more
// than the 1024 that a process is given for the sake of select(2), which is not used here. The
// limit in force afterwards.
Result<std::uint64_t> raise_descriptor_limit();

} // namespace mfd
