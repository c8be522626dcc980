#include "qmp/ctl/command.hpp"

#include "qmp/ctl/terminal.hpp"

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <utility>

#include <poll.h>
#include <unistd.h>

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

bool reader_is_gone() {
    pollfd out{STDOUT_FILENO, POLLOUT, 0};
    return ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

namespace {

std::string service_socket(const std::string& name) {
    return std::string(kServiceFolder) + "/" + name + ".qmp";
}

Result<std::string> socket_of(const Invocation& invocation) {
    if (invocation.guest.empty()) {
        if (!invocation.socket.empty())
            return invocation.socket;
        return Error{
            Errc::BadArgument,
            "which server? Give its socket with -s PATH or in MULTIFD_SOCKET, or the guest "
            "of a service with -g NAME",
            0};
    }
    // One that only the environment names gives way.
    if (!invocation.socket.empty() && invocation.socket != environment("MULTIFD_SOCKET"))
        return Error{Errc::BadArgument, "-s and -g name two servers; leave out one of them", 0};
    if (invocation.guest.find('/') != std::string::npos)
        return Error{Errc::BadArgument,
                     "'" + invocation.guest + "' is no name of a guest; a socket is given with -s",
                     0};
    return service_socket(invocation.guest);
}

// What to do about a refusal, by the words that QEMU and multifdd have for it.
std::string remedy(std::string_view text) {
    constexpr std::pair<std::string_view, std::string_view> kRemedies[] = {
        {"migration process in progress", "wait until it ends, or end it with 'multifdctl cancel'"},
        {"paused due to previous migration", "'multifdctl resume' lets the guest run on"},
        {"Guest is waiting for an incoming migration",
         "'multifdctl restore FILE' gives it its memory"},
        {"has not been found", "'multifdctl qmp query-commands' lists what this server has"},
        {"is for queries only", "use one that is not read-only"},
    };
    for (const auto& [sign, what] : kRemedies)
        if (text.find(sign) != std::string_view::npos)
            return "; " + std::string(what);
    return {};
}

Result<Client> connect_at(const std::string& path, const Invocation& invocation) {
    auto client = Client::connect(path);
    if (!client && client.error().sys == ENOENT && !invocation.guest.empty())
        return Error{client.error().code,
                     "no guest " + invocation.guest +
                         " has a socket here: 'multifdctl top' lists "
                         "those there are, 'systemctl start multifdd@" +
                         invocation.guest + ".socket' makes one",
                     ENOENT};
    return client;
}

} // namespace

Result<Client> connect(const Invocation& invocation) {
    MFD_TRY(const auto path, socket_of(invocation));
    return connect_at(path, invocation);
}

Result<Client> connect_to_look(const Invocation& invocation) {
    MFD_TRY(const auto path, socket_of(invocation));
    if (!invocation.guest.empty()) {
        if (auto client = Client::connect(service_socket(invocation.guest + "-ro")); client)
            return client;
    }
    auto client = connect_at(path, invocation);
    if (!client && client.error().sys == ETIMEDOUT)
        return Error{client.error().code,
                     client.error().what + "; a socket for onlookers helps: --qmp "
                                           "unix:PATH,server=on,wait=off,readonly=on",
                     client.error().sys};
    return client;
}

Error with_remedy(Error error) {
    error.what += remedy(error.what);
    return error;
}

Exit with_client(const Invocation& invocation, std::string_view command,
                 const std::function<Result<Exit>(Client&)>& run) {
    auto client = connect(invocation);
    if (!client)
        return fail(command, client.error(), Exit::Usage);
    const auto status = run(*client);
    if (status)
        return *status;
    return fail(command, with_remedy(status.error()));
}

void print_json(const Json& value) {
    constexpr bool kAscii = true;
    std::cout << value.dump(2, ' ', kAscii, Json::error_handler_t::replace) << "\n";
}

} // namespace mfd::ctl
