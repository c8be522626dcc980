// Where a migration goes to or comes from: the arguments `uri` and `channels` of migrate and
// migrate-incoming, and the option -incoming. Pure functions.
#pragma once

#include "proto/error.hpp"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace mfd {

struct MigrationAddress {
    enum class Transport : std::uint8_t { File, Socket, Other }; // Other: exec, fd, rdma
    Transport transport = Transport::File;
    std::string path;         // of a file: a path, or /dev/fdset/N
    std::uint64_t offset = 0; // bytes of the file before the stream
    std::string text;         // the URI, or the transport's name, for error texts
};

// "file:PATH[,offset=N]", and the schemes QEMU knows but a mapped-ram file cannot use (they parse,
// so that the caller can say why they do not serve). Texts of errors are QEMU's.
Result<MigrationAddress> parse_migration_uri(std::string_view uri);
// The other way, of a file: whichever form the client used.
std::string file_uri(const MigrationAddress& address);

// The checked arguments of migrate or migrate-incoming: exactly one of `uri` and `channels`.
// `single_main` is the rule of migrate-incoming: no second channel of any type.
Result<MigrationAddress> parse_migration_arguments(const nlohmann::json& arguments,
                                                   bool single_main);

} // namespace mfd
