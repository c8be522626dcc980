// Every limit that keeps a client from using up the daemon's memory, descriptors or time. Those
// marked "QEMU" are part of the protocol, the others are chosen.
#pragma once

#include <chrono>
#include <cstddef>

namespace mfd::qmp::limits {

// QEMU: of one message, all tokens together, and of one token.
inline constexpr std::size_t kTokenBytes = std::size_t{64} << 20;
// QEMU: tokens of one message.
inline constexpr std::size_t kTokenCount = std::size_t{2} << 20;
// QEMU: open braces and brackets of one message.
inline constexpr std::size_t kNesting = 1024;
// QEMU: in-band commands read ahead of the one that runs, where out-of-band execution is on.
inline constexpr std::size_t kQueuedRequests = 8;
// Reading ahead also ends at this much text, so that the queue does not hold eight huge messages.
inline constexpr std::size_t kQueuedRequestBytes = std::size_t{1} << 20;

// Token memory kept for the next message; what a larger message needed is given back after it.
inline constexpr std::size_t kKeptTokenBytes = std::size_t{64} << 10;
// One read from a socket.
inline constexpr std::size_t kReadBytes = std::size_t{64} << 10;
// Messages of one client handled before the others get their turn.
inline constexpr std::size_t kMessagesPerTurn = 32;

// Output waiting for a client at which no further command of this client is started.
inline constexpr std::size_t kOutputPauseBytes = std::size_t{1} << 20;
// Events waiting for a client at which it is disconnected: its reader is gone or hangs, and events,
// unlike replies, cannot be held back.
inline constexpr std::size_t kEventBacklogBytes = std::size_t{8} << 20;
// Output buffer kept for the next message; what a larger one needed is given back after it.
inline constexpr std::size_t kKeptOutputBytes = std::size_t{64} << 10;

// Descriptors the kernel lets one message carry (SCM_MAX_FD of Linux).
inline constexpr std::size_t kDescriptorsPerMessage = 253;
// Connections waiting for their turn on a listener; the kernel lowers it to net.core.somaxconn.
inline constexpr int kListenBacklog = 4096;
// At shutdown: how long clients may take to read what is still to be sent to them.
inline constexpr std::chrono::milliseconds kFlushTimeout{1000};
// Pause between two reports of refused clients.
inline constexpr std::chrono::seconds kRefusalLogPause{10};
// Pause of a listener after accept failed for lack of descriptors or memory.
inline constexpr std::chrono::milliseconds kAcceptRetry{100};

} // namespace mfd::qmp::limits
