// The system calls that the daemon makes once it has started; any other ends the process, which
// then leaves a SIGSYS behind (seccomp(2), by libseccomp).
//
// What the filter does not see: work handed to io_uring. A ring can open, connect and send,
// whatever stands here. Landlock governs the paths it opens and TCP; that a process taken over
// makes itself a ring for UDP or for unix sockets stays possible. Our own rings are restricted to
// transfers (uring_engine), which keeps a confused daemon, but not an intruder, from more.
#pragma once

#include "proto/error.hpp"

namespace mfd {

// For all threads. Sets no-new-privileges. Errc::Unsupported: the kernel has no such filters, or
// does not permit one.
Result<void> allow_only_needed_system_calls();

} // namespace mfd
