// Sees how far a conversion is, and may end it. Called on the converting thread.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cstdint>
#include <string_view>

namespace mfd::convert {

class Watcher {
public:
    virtual ~Watcher() = default;
    // `total_bytes` is 0 where it is not known. An error ends the conversion and becomes its own.
    virtual Result<void> progress(std::string_view step, std::uint64_t done_bytes,
                                  std::uint64_t total_bytes) = 0;
    // Readable when the conversion shall end, which a wait for a pipe has to notice.
    [[nodiscard]] virtual FdRef stop_fd() const = 0;
    // What progress() then returns.
    static Error stopped() { return {Errc::Cancelled, "interrupted", 0}; }

protected:
    Watcher() = default;
    Watcher(const Watcher&) = default;
    Watcher& operator=(const Watcher&) = default;
};

} // namespace mfd::convert
