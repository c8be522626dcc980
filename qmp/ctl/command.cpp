#include "qmp/ctl/command.hpp"

#include <cstdio>

namespace mfd::ctl {

void say(std::string_view command, std::string_view text) {
    std::string line = "multifdctl: ";
    if (!command.empty()) {
        line += command;
        line += ": ";
    }
    line += text;
    line += '\n';
    // One write, so that lines of several processes do not mix. Nothing can be done if it fails.
    static_cast<void>(std::fwrite(line.data(), 1, line.size(), stderr));
}

Exit fail(std::string_view command, const Error& error, Exit status) {
    say(command, error.what);
    return status;
}

Result<Client> connect(const Invocation& invocation) {
    if (invocation.socket.empty())
        return Error{Errc::BadArgument,
                     "which server? Give its socket with -s PATH or in MULTIFD_SOCKET", 0};
    return Client::connect(invocation.socket);
}

} // namespace mfd::ctl
