#include "daemon/sandbox/system_calls.hpp"

#include "daemon/guest/linux_abi.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <type_traits>

#include <asm/termbits.h>
#include <linux/fs.h>
#include <linux/kcmp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mfd {

namespace {

// Whatever their arguments are. A call that is missing ends the daemon, so what belongs together is
// here together, with what other versions of the C library use for the same.
// clang-format off
constexpr auto kAlways = std::to_array<int>({
    // Files that are open: pages, metadata, page cache, length, holes.
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2),
    SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(pwritev2),
    SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(syncfs),
    SCMP_SYS(sync_file_range), SCMP_SYS(fadvise64), SCMP_SYS(fallocate), SCMP_SYS(ftruncate),
    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(fstatfs), SCMP_SYS(fcntl),
    SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(flock), SCMP_SYS(memfd_create),
    // Paths: Landlock says which.
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(access),
    SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd), SCMP_SYS(chdir), SCMP_SYS(getdents64), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(linkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(fchmod),
    // Memory; with protections below.
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mbind),
    // Rings.
    SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
    // Threads; their start is below.
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity),
    SCMP_SYS(gettid), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(restart_syscall),
    // Signals to ourselves.
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sigaltstack), SCMP_SYS(signalfd4),
    // Waiting and time.
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
    SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    // Sockets that exist: listeners and clients; the service manager's is below.
    SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(recvmsg),
    SCMP_SYS(recvfrom), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname),
    SCMP_SYS(getpeername), SCMP_SYS(shutdown),
    // Questions about this process and this machine.
    SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
    SCMP_SYS(getegid), SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getcpu),
    SCMP_SYS(getrandom),
});
// clang-format on

// Of files, sockets, block devices and terminals; of write protection (daemon/guest).
constexpr auto kIoctls = std::to_array<std::uint64_t>({
    FIONBIO,
    FIONREAD,
    TCGETS,
    _IOR('T', 0x2A, termios2),
    BLKGETSIZE64,
    UFFDIO_API,
    UFFDIO_REGISTER,
    UFFDIO_UNREGISTER,
    USERFAULTFD_IOC_NEW,
    linux_abi::kPagemapScan,
});

// Names of threads and of mappings.
constexpr auto kPrctls = std::to_array<std::uint64_t>({PR_SET_NAME, PR_GET_NAME, PR_SET_VMA});

constexpr std::uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                      CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr std::uint64_t kSocketType = 0xf; // the rest of socket(2)'s type are flags

scmp_arg_cmp equals(unsigned argument, std::uint64_t value) {
    return {argument, SCMP_CMP_EQ, value, 0};
}

// Of the bits in `mask` exactly `bits` are set.
scmp_arg_cmp has_bits(unsigned argument, std::uint64_t mask, std::uint64_t bits) {
    return {argument, SCMP_CMP_MASKED_EQ, mask, bits};
}

struct ReleaseFilter {
    void operator()(void* filter) const { ::seccomp_release(filter); }
};

class Filter {
public:
    Filter() : filter_(::seccomp_init(SCMP_ACT_KILL_PROCESS)) {
        if (filter_ == nullptr)
            failed_ = -ENOMEM;
    }

    void set(scmp_filter_attr attribute, std::uint32_t value) {
        if (failed_ == 0)
            failed_ = ::seccomp_attr_set(filter_.get(), attribute, value);
    }

    template <class... Conditions>
    void allow(int call, const Conditions&... conditions) {
        add(SCMP_ACT_ALLOW, call, conditions...);
    }

    template <class... Conditions>
    void add(std::uint32_t action, int call, const Conditions&... conditions) {
        if (failed_ != 0 || call < 0) // below 0: this architecture has no such call
            return;
        const std::array<scmp_arg_cmp, sizeof...(conditions)> all{conditions...};
        failed_ = ::seccomp_rule_add_array(filter_.get(), action, call, all.size(), all.data());
    }

    // 0 or an errno, negative.
    [[nodiscard]] int load() { return failed_ != 0 ? failed_ : ::seccomp_load(filter_.get()); }

private:
    std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, ReleaseFilter> filter_;
    int failed_ = 0;
};

void add_memory_and_threads(Filter& filter) {
    // No new code: neither pages that can be executed nor a program.
    filter.allow(SCMP_SYS(mmap), has_bits(2, PROT_EXEC, 0));
    filter.allow(SCMP_SYS(mprotect), has_bits(2, PROT_EXEC, 0));
    filter.allow(SCMP_SYS(userfaultfd), has_bits(0, UFFD_USER_MODE_ONLY, UFFD_USER_MODE_ONLY));
    // Threads, no processes. The flags of clone3 are in memory, where no filter looks; told that it
    // does not exist, the C library takes clone.
    filter.allow(SCMP_SYS(clone), has_bits(0, CLONE_THREAD | kNamespaces, CLONE_THREAD));
    filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
}

void add_this_process_alone(Filter& filter) {
    const auto self = static_cast<std::uint64_t>(::getpid());
    filter.allow(SCMP_SYS(kill), equals(0, self));
    filter.allow(SCMP_SYS(tgkill), equals(0, self)); // abort()
    // Are two descriptors the same one? (daemon/state; fcntl tells since Linux 6.10.)
    filter.allow(SCMP_SYS(kcmp), equals(0, self), equals(1, self), equals(2, KCMP_FILE));
    filter.allow(SCMP_SYS(move_pages), equals(0, 0));
    filter.allow(SCMP_SYS(prlimit64), equals(0, 0), equals(2, 0)); // reads limits
    for (const std::uint64_t what : kPrctls)
        filter.allow(SCMP_SYS(prctl), equals(0, what));
}

} // namespace

Result<void> allow_only_needed_system_calls() {
    Filter filter;
    filter.set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    filter.set(SCMP_FLTATR_CTL_TSYNC, 1);
    // No foreign code runs here, so kernels before 5.16 need not slow speculation down for it.
    filter.set(SCMP_FLTATR_CTL_SSB, 1);
    filter.set(SCMP_FLTATR_CTL_OPTIMIZE, 2); // a tree: the list is long
    for (const int call : kAlways)
        filter.allow(call);
    add_memory_and_threads(filter);
    add_this_process_alone(filter);
    for (const std::uint64_t request : kIoctls)
        filter.allow(SCMP_SYS(ioctl), equals(1, request));
    // To the service manager and the journal.
    filter.allow(SCMP_SYS(socket), equals(0, AF_UNIX), has_bits(1, kSocketType, SOCK_DGRAM),
                 equals(2, 0));
    if (const int refused = filter.load(); refused != 0)
        return Error{Errc::Unsupported, "system call filter (seccomp): " + errno_text(-refused),
                     -refused};
    return {};
}

} // namespace mfd
