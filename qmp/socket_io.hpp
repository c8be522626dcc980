// The calls on unix sockets that Asio has no form for: descriptors that come with bytes, the peer's
// credentials, sockets at a path. No state; errors are values.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "qmp/call.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <sys/types.h>

namespace mfd::qmp {

enum class Received : std::uint8_t { Bytes, Nothing, End, Failed };

struct Reception {
    Received what = Received::Nothing;
    std::size_t bytes = 0;
    // The first descriptor of the message, made blocking. Further ones are closed.
    UniqueFd fd = {};
    bool lost_descriptors = false; // the process may open no more, the kernel dropped some
    int error = 0;                 // errno, if what is Failed
};

// Reads what is there without waiting.
Reception receive(FdRef socket, std::span<char> buffer);

Peer peer_of(FdRef socket);

// True once the other side has closed its socket altogether, not merely its sending direction.
bool is_hung_up(FdRef socket);

// A listening socket at `path`. A socket nobody listens on is replaced; anything else that is there
// is an error. Without `group` the file has the one the system gives it.
Result<UniqueFd> make_listening_socket(const std::string& path, mode_t mode,
                                       std::optional<gid_t> group = {});
// Makes sure that an inherited descriptor is what it is said to be, and sets it to non-blocking.
Result<void> check_listening_socket(FdRef socket);
Result<void> check_connected_socket(FdRef socket);

} // namespace mfd::qmp
