#include "qmp/ctl/bench_guest.hpp"

#include "qmp/ctl/reply_fields.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mfd::ctl {

using qmp::Client;
using qmp::Json;

namespace {

using BenchClock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStartTime{20}; // chosen: a loaded machine needs under one
constexpr int kStartTickMs = 5;
// Chosen: a save that takes longer than that on a file system says enough about it.
constexpr qmp::Millis kJobTime{600'000};
constexpr int kMemoryFdInChild = 3;

// Becomes the program; only calls that are allowed between fork and exec.
[[noreturn]] void become(char* const* argv, int memory, const char* log, int parent) {
    // Not left behind when this program is killed.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
        ::_exit(1);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr); // NOLINT(concurrency-mt-unsafe): the one thread
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int output = ::open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ::dup2(null, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    // Not dup2 alone: the number may be the right one already, and then stays close-on-exec.
    if (memory == kMemoryFdInChild)
        ::fcntl(memory, F_SETFD, 0);
    else
        ::dup2(memory, kMemoryFdInChild);
    ::execv(argv[0], argv);
    ::_exit(127);
}

} // namespace

void BenchMemory::Unmap::operator()(std::byte* map) const {
    ::munmap(map, bytes);
}

Result<BenchMemory> BenchMemory::make(std::uint64_t bytes) {
    BenchMemory memory;
    memory.fd_ = UniqueFd(::memfd_create("multifdctl-bench", MFD_CLOEXEC));
    if (!memory.fd_.valid() || ::ftruncate(memory.fd_.get(), static_cast<off_t>(bytes)) != 0)
        return make_sys_error("make the guest's memory", errno);
    void* const map =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd_.get(), 0);
    if (map == MAP_FAILED) // NOLINT(performance-no-int-to-ptr): the kernel's constant
        return make_sys_error("map the guest's memory", errno);
    memory.map_ = std::unique_ptr<std::byte, Unmap>(static_cast<std::byte*>(map), Unmap{bytes});
    return memory;
}

void BenchMemory::fill() {
    std::uint64_t state = 0x9e3779b97f4a7c15; // any but 0
    for (auto rest = bytes(); rest.size() >= sizeof(state); rest = rest.subspan(sizeof(state))) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::memcpy(rest.data(), &state, sizeof(state));
    }
}

BenchGuest::BenchGuest(BenchGuest&& other) noexcept
    : process_(std::exchange(other.process_, -1)), log_(std::move(other.log_)), role_(other.role_),
      client_(std::move(other.client_)) {}

BenchGuest::~BenchGuest() {
    if (process_ < 0)
        return;
    // It owns nothing that outlives it.
    ::kill(process_, SIGKILL);
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

Result<BenchGuest> BenchGuest::start(const std::string& program, const std::string& folder,
                                     const BenchMemory& memory, BenchRole role, FdRef stop) {
    const std::string socket = folder + "/qmp";
    std::vector<std::string> words{
        program,
        "-S",
        "--sandbox",
        "off",
        "--add-fd",
        "set=1,fd=" + std::to_string(kMemoryFdInChild),
        "--object",
        "memory-backend-file,id=ram0,share=on,mem-path=/dev/fdset/1,size=" +
            std::to_string(memory.bytes().size()),
        "--qmp",
        "unix:" + socket + ",server=on,wait=off"};
    if (role == BenchRole::Restores)
        words.insert(words.end(), {"--incoming", "defer"});
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string log = folder + "/log";
    ::unlink(socket.c_str()); // of the guest before
    const int parent = ::getpid();
    const pid_t process = ::fork();
    if (process < 0)
        return make_sys_error("start " + program, errno);
    if (process == 0)
        become(argv.data(), memory.fd().get(), log.c_str(), parent);
    BenchGuest guest(process, log, role);
    auto connected = guest.connect(socket, stop);
    if (!connected.has_value())
        return guest.with_log(std::move(connected).error());
    return guest;
}

Result<void> BenchGuest::connect(const std::string& socket, FdRef stop) {
    const auto deadline = BenchClock::now() + kStartTime;
    for (;;) {
        auto client = Client::connect(socket);
        if (client.has_value()) {
            client_ = std::move(*client);
            client_->interrupt_on(stop);
            return {};
        }
        if (::waitpid(process_, nullptr, WNOHANG) == process_) {
            process_ = -1;
            return Error{Errc::Io, "multifdd ended at its start", 0};
        }
        if (BenchClock::now() > deadline)
            return std::move(client).error();
        // Its socket comes without notice.
        pollfd wait{stop.get(), POLLIN, 0};
        if (::poll(&wait, 1, kStartTickMs) > 0)
            return Error{Errc::Cancelled, "interrupted", 0};
    }
}

Result<void> BenchGuest::settings(unsigned channels, bool direct) {
    Json capabilities = Json::array();
    for (const char* const name : {"mapped-ram", "multifd", "events"})
        capabilities.push_back({{"capability", name}, {"state", true}});
    MFD_CHECK(client_->call("migrate-set-capabilities", {{"capabilities", capabilities}}));
    MFD_CHECK(client_->call(
        "migrate-set-parameters",
        {{"multifd-channels", channels}, {"direct-io", direct}, {"max-bandwidth", 0}}));
    return {};
}

Result<double> BenchGuest::run(const std::string& file, unsigned channels, bool direct) {
    MFD_CHECK(settings(channels, direct));
    const bool saves = role_ == BenchRole::Saves;
    const auto began = BenchClock::now();
    MFD_CHECK(client_->call(saves ? "migrate" : "migrate-incoming", {{"uri", "file:" + file}}));
    MFD_TRY(const auto event, client_->wait_event(
                                  [](const qmp::Event& happened) {
                                      const auto status = text_in(happened.data, "status");
                                      return happened.name == "MIGRATION" &&
                                             (status == "completed" || status == "failed");
                                  },
                                  kJobTime));
    const std::chrono::duration<double> took = BenchClock::now() - began;
    const std::string what = saves ? "save" : "restore";
    if (!event)
        return Error{Errc::Io, "the " + what + " does not end", ETIMEDOUT};
    MFD_TRY(const auto info, client_->call("query-migrate"));
    if (text_in(event->data, "status") != "completed")
        return with_log({Errc::Io, what + " to " + file + ": " + text_in(info, "error-desc"), 0});
    // A guest has to run before it is saved again.
    if (saves) {
        MFD_CHECK(client_->call("cont"));
        MFD_CHECK(client_->call("stop"));
    }
    return took.count();
}

// The last thing that the program said.
Error BenchGuest::with_log(Error error) const {
    std::ifstream log(log_);
    std::string last;
    for (std::string line; std::getline(log, line);)
        last = line.empty() ? last : line;
    if (!last.empty())
        error.what += " (" + last + ")";
    return error;
}

} // namespace mfd::ctl
