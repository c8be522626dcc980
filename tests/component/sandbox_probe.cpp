// What a process could still do that took the daemon over: starts the daemon as multifdd does, then
// tries one thing from a thread of its own.
//
//   sandbox_probe ATTEMPT ARGUMENT OPTION-OF-MULTIFDD...
//
// Prints "done" or the errno's number. A system call that the filter forbids ends the process.
#include "daemon/daemon.hpp"
#include "daemon/options.hpp"
#include "daemon/service/log.hpp"
#include "daemon/service/service_manager.hpp"
#include "daemon/state/state_keeper.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

// 0 or an errno.
using Attempt = std::function<int(const std::string& argument)>;

int outcome(long result) {
    return result < 0 ? errno : 0;
}

pid_t pid_of(const std::string& argument) {
    return std::stoi(argument);
}

int execute(const std::string& path) {
    std::array<char*, 2> argv{const_cast<char*>(path.c_str()), nullptr};
    return outcome(::execve(path.c_str(), argv.data(), nullptr));
}

int read_process(const std::string& pid) {
    std::array<char, 16> here{};
    iovec local{here.data(), here.size()};
    iovec remote = local;
    return outcome(::process_vm_readv(pid_of(pid), &local, 1, &remote, 1, 0));
}

// What one entry of a ring leads to; the filter of system calls does not see it.
int by_ring(const std::function<void(io_uring_sqe*)>& prepare) {
    io_uring ring{};
    if (const int refused = ::io_uring_queue_init(1, &ring, 0); refused < 0)
        return -refused;
    prepare(::io_uring_get_sqe(&ring));
    io_uring_cqe* answer = nullptr;
    const int waited = ::io_uring_submit_and_wait_timeout(&ring, &answer, 1, nullptr, nullptr);
    return answer != nullptr && answer->res < 0 ? -answer->res : (waited < 0 ? -waited : 0);
}

int ring_open(const std::string& path) {
    return by_ring([&](io_uring_sqe* entry) {
        ::io_uring_prep_openat(entry, AT_FDCWD, path.c_str(), O_RDONLY, 0);
    });
}

int map_code(const std::string&) {
    void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? errno : 0;
}

// A new file, through a nameless one and a change of its name, as a careful writer makes it.
int write_carefully(const std::string& directory) {
    const int file = ::open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0 || ::write(file, "x", 1) != 1 || ::fsync(file) != 0)
        return errno;
    const std::string nameless = "/proc/self/fd/" + std::to_string(file);
    const std::string first = directory + "/first";
    const std::string second = directory + "/second";
    if (::linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, first.c_str(), AT_SYMLINK_FOLLOW) != 0 ||
        ::rename(first.c_str(), second.c_str()) != 0)
        return errno;
    return outcome(::unlink(second.c_str()));
}

// As a kernel that was built without it.
bool hide_landlock() {
    const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
    const bool hidden = filter != nullptr &&
                        ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
                                           SCMP_SYS(landlock_create_ruleset), 0) == 0 &&
                        ::seccomp_load(filter) == 0;
    ::seccomp_release(filter);
    return hidden;
}

const std::map<std::string_view, Attempt> kAttempts{
    {"lack-landlock", [](const std::string&) { return 0; }},
    {"nothing", [](const std::string&) { return 0; }},
    {"read", [](const std::string& path) { return outcome(::open(path.c_str(), O_RDONLY)); }},
    {"create",
     [](const std::string& path) {
         return outcome(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
     }},
    {"write-carefully", write_carefully},
    {"make-fifo", [](const std::string& path) { return outcome(::mkfifo(path.c_str(), 0600)); }},
    {"execute", execute},
    {"fork", [](const std::string&) { return outcome(::fork()); }},
    {"inet-socket", [](const std::string&) { return outcome(::socket(AF_INET, SOCK_DGRAM, 0)); }},
    {"unix-socket", [](const std::string&) { return outcome(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
    {"datagram", [](const std::string&) { return outcome(::socket(AF_UNIX, SOCK_DGRAM, 0)); }},
    {"trace",
     [](const std::string& pid) { return outcome(::ptrace(PTRACE_ATTACH, pid_of(pid), 0, 0)); }},
    {"read-process", read_process},
    {"signal", [](const std::string& pid) { return outcome(::kill(pid_of(pid), 0)); }},
    {"become-root", [](const std::string&) { return outcome(::setuid(0)); }},
    {"map-code", map_code},
    {"ioctl", [](const std::string&) { return outcome(::ioctl(0, TIOCSTI, "x")); }},
    {"ring-open", ring_open},
    {"abort", [](const std::string&) -> int { std::abort(); }},
};

mfd::Result<int> run(const std::string& attempt, const std::string& argument,
                     mfd::Options options) {
    std::vector<mfd::PassedDescriptor> passed;
    MFD_TRY(auto log, mfd::Log::set_up({.file = options.log_file,
                                        .level = options.log_level,
                                        .env_file = options.env_file,
                                        .guest = options.name}));
    MFD_TRY(auto keeper, mfd::StateKeeper::open(passed, options));
    const auto manager = mfd::ServiceManager::from_environment();
    mfd::Daemon daemon(std::move(options), log, manager, std::move(keeper));
    MFD_CHECK(daemon.start());
    int error = 0;
    std::thread([&] { error = kAttempts.at(attempt)(argument); }).join();
    return error;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3 || !kAttempts.contains(argv[1])) {
        std::fputs("sandbox_probe ATTEMPT ARGUMENT OPTION...\n", stderr);
        return EXIT_FAILURE;
    }
    const std::string attempt = argv[1];
    const std::string argument = argv[2];
    argv[2] = argv[0];
    auto parsed = mfd::parse_options(argc - 2, argv + 2);
    if (!parsed.options) {
        std::fputs(parsed.text.c_str(), stderr);
        return EXIT_FAILURE;
    }
    if (attempt == "lack-landlock" && !hide_landlock())
        return EXIT_FAILURE;
    const auto error = run(attempt, argument, std::move(*parsed.options));
    if (!error.has_value()) {
        std::fprintf(stderr, "%s\n", error.error().what.c_str());
        return EXIT_FAILURE;
    }
    std::puts(*error == 0 ? "done" : std::to_string(*error).c_str());
    return EXIT_SUCCESS;
}
