// What a subcommand of multifdctl is: a function that declares its options and leaves behind what
// to do. One file per subcommand, one line in the table of main.cpp.
//
// The tool is one thread. Results go to stdout; everything else goes to stderr as
// "multifdctl: SUBCOMMAND: text" and says what to do next where that can be known.
#pragma once

#include "proto/error.hpp"
#include "qmp/client.hpp"

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace mfd::ctl {

using qmp::Client;
using qmp::Json;
using qmp::Millis;

// Where the sockets of the service's instances are (systemd/multifdd@.socket).
inline constexpr std::string_view kServiceFolder = "/run/multifdd";

enum class Exit : int {
    Ok = 0,
    Failed = 1,        // the operation was tried and failed, or the server refused it
    Usage = 2,         // wrong options, or the server cannot be reached
    Interrupted = 130, // ^C or SIGTERM, as a shell would report it
};

struct Invocation {
    std::string socket;        // -s, or MULTIFD_SOCKET
    std::string guest;         // -g: the service instance, in place of a socket
    std::function<Exit()> run; // set by the subcommand that was named
};

using AddCommand = void (*)(CLI::App& app, Invocation& invocation);

void add_save(CLI::App& app, Invocation& invocation);
void add_restore(CLI::App& app, Invocation& invocation);
void add_status(CLI::App& app, Invocation& invocation);
void add_qmp(CLI::App& app, Invocation& invocation);
void add_cancel(CLI::App& app, Invocation& invocation);
void add_quit(CLI::App& app, Invocation& invocation);
void add_shell(CLI::App& app, Invocation& invocation);
void add_inspect(CLI::App& app, Invocation& invocation);
void add_verify(CLI::App& app, Invocation& invocation);
void add_extract(CLI::App& app, Invocation& invocation);
void add_diff(CLI::App& app, Invocation& invocation);
void add_map(CLI::App& app, Invocation& invocation);
void add_pause(CLI::App& app, Invocation& invocation);
void add_resume(CLI::App& app, Invocation& invocation);
void add_set(CLI::App& app, Invocation& invocation);
void add_caps(CLI::App& app, Invocation& invocation);
void add_objects(CLI::App& app, Invocation& invocation);
void add_fdsets(CLI::App& app, Invocation& invocation);
void add_watch(CLI::App& app, Invocation& invocation);
void add_top(CLI::App& app, Invocation& invocation);
void add_convert(CLI::App& app, Invocation& invocation);
void add_bench(CLI::App& app, Invocation& invocation);

// Writes "multifdctl: command: text" to stderr.
void say(std::string_view command, std::string_view text);
// The same for a failure; gives `status` back, so that a caller can return it.
Exit fail(std::string_view command, const Error& error, Exit status = Exit::Failed);

// Standard output is a pipe that nobody reads any more (head has seen enough): nothing to be said.
bool reader_is_gone();

// Connects to the server of this invocation. The error's text says how to name one.
Result<Client> connect(const Invocation& invocation);
// The same to ask questions only: a guest's read-only socket is taken if there is one, so that
// nobody else has to wait for their turn at the other one.
Result<Client> connect_to_look(const Invocation& invocation);
// The error with what may help, where that is known by a server's words.
Error with_remedy(Error error);
// Connects and runs; what fails is said, with its remedy.
Exit with_client(const Invocation& invocation, std::string_view command,
                 const std::function<Result<Exit>(Client&)>& run);

// To stdout, indented, ASCII only, since names in files are untrusted; bytes that are no UTF-8 as
// U+FFFD.
void print_json(const Json& value);

} // namespace mfd::ctl
