#include "daemon/background.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mfd {

namespace {

constexpr char kReady = 'R';

// The parent's whole life from here on.
[[noreturn]] void wait_for_child(UniqueFd from_child, pid_t child) {
    char word = 0;
    ssize_t got = 0;
    do {
        got = ::read(from_child.get(), &word, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1 && word == kReady)
        std::_Exit(EXIT_SUCCESS);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    std::_Exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_FAILURE);
}

} // namespace

Result<Background> Background::detach() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return make_sys_error("daemonize: pipe", errno);
    UniqueFd from_child(ends[0]);
    UniqueFd to_parent(ends[1]);
    const pid_t child = ::fork();
    if (child < 0)
        return make_sys_error("daemonize: fork", errno);
    if (child > 0) {
        to_parent.reset();
        wait_for_child(std::move(from_child), child);
    }
    if (::setsid() < 0)
        return make_sys_error("daemonize: setsid", errno);
    UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    return Background(std::move(to_parent), std::move(null));
}

void Background::ready() {
    if (null_.valid())
        for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
            ::dup2(null_.get(), standard);
    if (::chdir("/") != 0) {
        // A directory kept in use is a nuisance for unmounting, no reason to fail.
    }
    while (::write(to_parent_.get(), &kReady, 1) < 0 && errno == EINTR) {
    }
    to_parent_.reset();
}

Result<PidFile> PidFile::create(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid())
        return make_sys_error("cannot create PID file " + path, errno);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(fd.get(), F_SETLK, &lock) != 0)
        return make_sys_error("cannot lock PID file " + path, errno);
    const std::string text = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd.get(), 0) != 0 ||
        ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return make_sys_error("cannot write PID file " + path, errno);
    // The process may change its directory before the file is removed.
    std::error_code failed;
    const auto absolute = std::filesystem::absolute(path, failed);
    return PidFile(failed ? path : absolute.string(), std::move(fd));
}

PidFile::~PidFile() {
    if (fd_.valid())
        ::unlink(path_.c_str());
}

} // namespace mfd
