#include "daemon/metrics/process_metrics.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

namespace mfd {

namespace {

Result<UniqueFd> open_proc(const char* path, int flags) {
    UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC | flags));
    if (!fd.valid())
        return make_sys_error(std::string("open ") + path, errno);
    return fd;
}

// The second number of statm, in pages.
std::optional<std::uint64_t> resident_bytes(FdRef statm) {
    std::array<char, 128> text{};
    if (::pread(statm.get(), text.data(), text.size() - 1, 0) <= 0)
        return std::nullopt;
    char* end = nullptr;
    std::strtoull(text.data(), &end, 10);
    return std::strtoull(end, nullptr, 10) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::optional<std::uint64_t> open_descriptors(FdRef folder) {
    // A folder is read from the start only with a position of its own; closedir takes the copy.
    const int copy = ::fcntl(folder.get(), F_DUPFD_CLOEXEC, 3);
    DIR* const entries = copy >= 0 ? ::fdopendir(copy) : nullptr;
    if (entries == nullptr) {
        if (copy >= 0)
            ::close(copy);
        return std::nullopt;
    }
    ::rewinddir(entries);
    std::uint64_t count = 0;
    while (const dirent* entry = ::readdir(entries)) // NOLINT(concurrency-mt-unsafe): own stream
        count += entry->d_name[0] != '.' ? 1U : 0U;
    ::closedir(entries);
    return count - std::min<std::uint64_t>(count, 1); // without the copy
}

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

} // namespace

Result<ProcessMetrics> ProcessMetrics::open() {
    MFD_TRY(UniqueFd statm, open_proc("/proc/self/statm", 0));
    MFD_TRY(UniqueFd descriptors, open_proc("/proc/self/fd", O_DIRECTORY));
    return ProcessMetrics(std::move(statm), std::move(descriptors));
}

void ProcessMetrics::write(MetricText& out) const {
    rusage used{};
    if (::getrusage(RUSAGE_SELF, &used) == 0) {
        out.counter("process_cpu_seconds", "Processor time of all threads.");
        out.value({}, seconds_of(used.ru_utime) + seconds_of(used.ru_stime));
    }
    if (const auto bytes = resident_bytes(statm_.ref())) {
        out.gauge("process_resident_memory_bytes",
                  "Memory in use, guest RAM that the daemon has mapped included.");
        out.value({}, *bytes);
    }
    if (const auto count = open_descriptors(descriptors_.ref())) {
        out.gauge("process_open_fds", "Open descriptors.");
        out.value({}, *count);
    }
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        out.gauge("process_max_fds", "How many descriptors may be open.");
        out.value({}, static_cast<std::uint64_t>(limit.rlim_cur));
    }
    out.gauge("process_start_time_seconds", "When the process started, since the epoch.");
    out.value({}, std::chrono::duration<double>(started_.time_since_epoch()).count());
}

} // namespace mfd
