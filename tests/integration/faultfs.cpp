// A file system whose disk misbehaves on command: it passes everything on to a folder, except what
// it was told to refuse, cut short, tear or hold back.
//
//   faultfs FOLDER MOUNTPOINT
//
// It says "ready" on standard output once mounted, reads commands from standard input, one a line,
// and answers each with "ok" or "bad command: ..."; at the end of its input it unmounts and leaves.
//
//   fail OP ERRNO [skip N] [times N] [direct|buffered]
//                        the next calls of OP (after N of them; N times, else for good) give ERRNO
//   short OP BYTES ...   reads and writes move no more than BYTES
//   tear OP ERRNO ...    writes the first half, then gives ERRNO
//   hang OP ...          the calls wait until "release"
//   release              lets the waiting calls go on; nothing hangs any more
//   clear                forgets every rule
//   trace FILE           notes in FILE every change and fsync in order, with the data: see note()
//   untrace              no more
//
// OP: open create read write truncate fallocate fsync rename unlink. ERRNO: a name such as EIO.
#define FUSE_USE_VERSION 312

#include <fuse3/fuse.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <limits>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace {

constexpr std::uint64_t kForGood = std::numeric_limits<std::uint64_t>::max();
constexpr std::chrono::seconds kBusyAtMost{20};

const std::map<std::string, int> kErrors = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC},        {"EDQUOT", EDQUOT}, {"EROFS", EROFS},
    {"EFBIG", EFBIG},   {"EINTR", EINTR},          {"EAGAIN", EAGAIN}, {"EINVAL", EINVAL},
    {"EACCES", EACCES}, {"EOPNOTSUPP", EOPNOTSUPP}};

struct Rule {
    enum class Kind { Fail, Short, Tear, Hang };
    Kind kind = Kind::Fail;
    std::string op;
    int error = 0;
    std::size_t bytes = 0;
    std::uint64_t skip = 0;
    std::uint64_t times = kForGood;
    std::optional<bool> direct; // of the descriptor; nothing: any
};

// What is to go wrong. Asked by FUSE's threads, told by the command loop.
class Faults {
public:
    void add(Rule rule) {
        const std::lock_guard lock(mutex_);
        rules_.push_back(std::move(rule));
    }
    void clear() {
        const std::lock_guard lock(mutex_);
        rules_.clear();
        released_.notify_all();
    }
    void release() {
        const std::lock_guard lock(mutex_);
        rules_.remove_if([](const Rule& rule) { return rule.kind == Rule::Kind::Hang; });
        released_.notify_all();
    }
    // The rule that this call falls under, if any. Returns only after a hang.
    std::optional<Rule> next(const std::string& op, bool direct) {
        std::unique_lock lock(mutex_);
        for (auto rule = rules_.begin(); rule != rules_.end(); ++rule) {
            if (rule->op != op || (rule->direct && *rule->direct != direct))
                continue;
            if (rule->skip > 0) {
                --rule->skip;
                continue;
            }
            if (rule->kind == Rule::Kind::Hang) {
                released_.wait(lock, [this] { return !hangs(); });
                return std::nullopt;
            }
            const Rule found = *rule;
            if (rule->times != kForGood && --rule->times == 0)
                rules_.erase(rule);
            return found;
        }
        return std::nullopt;
    }

private:
    [[nodiscard]] bool hangs() const {
        for (const Rule& rule : rules_)
            if (rule.kind == Rule::Kind::Hang)
                return true;
        return false;
    }
    std::mutex mutex_;
    std::condition_variable released_;
    std::list<Rule> rules_;
};

// The changes in the order of their answers.
class Trace {
public:
    bool start(const std::string& path) {
        stop();
        const std::lock_guard lock(mutex_);
        file_ = std::fopen(path.c_str(), "we");
        return file_ != nullptr;
    }
    void stop() {
        const std::lock_guard lock(mutex_);
        if (file_ != nullptr)
            std::fclose(file_);
        file_ = nullptr;
    }
    // A line "OP PATH OFFSET LENGTH", and behind that of a write its LENGTH bytes of data.
    void note(const char* op, const char* path, std::uint64_t offset = 0, std::uint64_t length = 0,
              const char* data = nullptr) {
        const std::lock_guard lock(mutex_);
        if (file_ == nullptr)
            return;
        std::fprintf(file_, "%s %s %llu %llu\n", op, path, static_cast<unsigned long long>(offset),
                     static_cast<unsigned long long>(length));
        if (data != nullptr)
            std::fwrite(data, 1, length, file_);
        std::fflush(file_);
    }

private:
    std::mutex mutex_;
    std::FILE* file_ = nullptr;
};

Faults g_faults;
Trace g_trace;
std::string g_folder;

std::string real(const char* path) {
    return g_folder + path;
}

bool is_direct(const fuse_file_info* info) {
    return info != nullptr && (info->flags & O_DIRECT) != 0;
}

// 0, or the negative errno that the call is to give.
int refused(const char* op, const fuse_file_info* info = nullptr) {
    const auto rule = g_faults.next(op, is_direct(info));
    return rule && rule->kind == Rule::Kind::Fail ? -rule->error : 0;
}

int answer(int result) {
    return result < 0 ? -errno : 0;
}

int fs_getattr(const char* path, struct stat* status, fuse_file_info* info) {
    return answer(info != nullptr ? ::fstat(static_cast<int>(info->fh), status)
                                  : ::lstat(real(path).c_str(), status));
}

int fs_readdir(const char* path, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info*,
               fuse_readdir_flags) {
    DIR* folder = ::opendir(real(path).c_str());
    if (folder == nullptr)
        return -errno;
    while (const dirent* entry = ::readdir(folder))
        fill(buffer, entry->d_name, nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
    ::closedir(folder);
    return 0;
}

int open_real(const char* path, fuse_file_info* info, mode_t mode) {
    // The folder's file system need not know O_DIRECT; what counts is that this one does.
    const int fd = ::open(real(path).c_str(), (info->flags & ~O_DIRECT) | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    info->fh = static_cast<std::uint64_t>(fd);
    info->direct_io = is_direct(info) ? 1 : 0;
    return 0;
}

int fs_open(const char* path, fuse_file_info* info) {
    const int sys = refused("open", info);
    return sys != 0 ? sys : open_real(path, info, 0);
}

int fs_create(const char* path, mode_t mode, fuse_file_info* info) {
    if (const int sys = refused("create", info); sys != 0)
        return sys;
    const int sys = open_real(path, info, mode);
    if (sys == 0)
        g_trace.note("create", path);
    return sys;
}

int fs_read(const char*, char* buffer, std::size_t size, off_t offset, fuse_file_info* info) {
    const auto rule = g_faults.next("read", is_direct(info));
    if (rule && rule->kind == Rule::Kind::Fail)
        return -rule->error;
    if (rule && rule->kind == Rule::Kind::Short)
        size = std::min(size, rule->bytes);
    const ssize_t got = ::pread(static_cast<int>(info->fh), buffer, size, offset);
    return got < 0 ? -errno : static_cast<int>(got);
}

int fs_write(const char* path, const char* data, std::size_t size, off_t offset,
             fuse_file_info* info) {
    const auto rule = g_faults.next("write", is_direct(info));
    if (rule && rule->kind == Rule::Kind::Fail)
        return -rule->error;
    if (rule && rule->kind == Rule::Kind::Short)
        size = std::min(size, rule->bytes);
    if (rule && rule->kind == Rule::Kind::Tear)
        size /= 2;
    const ssize_t done = ::pwrite(static_cast<int>(info->fh), data, size, offset);
    if (done < 0)
        return -errno;
    g_trace.note("write", path, static_cast<std::uint64_t>(offset),
                 static_cast<std::uint64_t>(done), data);
    return rule && rule->kind == Rule::Kind::Tear ? -rule->error : static_cast<int>(done);
}

int fs_truncate(const char* path, off_t size, fuse_file_info* info) {
    if (const int sys = refused("truncate", info); sys != 0)
        return sys;
    const int sys = answer(info != nullptr ? ::ftruncate(static_cast<int>(info->fh), size)
                                           : ::truncate(real(path).c_str(), size));
    if (sys == 0)
        g_trace.note("truncate", path, static_cast<std::uint64_t>(size));
    return sys;
}

int fs_fallocate(const char* path, int mode, off_t offset, off_t length, fuse_file_info* info) {
    if (const int sys = refused("fallocate", info); sys != 0)
        return sys;
    const int sys = answer(::fallocate(static_cast<int>(info->fh), mode, offset, length));
    if (sys == 0)
        g_trace.note((mode & FALLOC_FL_PUNCH_HOLE) != 0 ? "punch" : "allocate", path,
                     static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length));
    return sys;
}

int fs_fsync(const char* path, int, fuse_file_info* info) {
    if (const int sys = refused("fsync", info); sys != 0)
        return sys;
    g_trace.note("fsync", path);
    return 0; // the folder's own disk is nothing that is tested here
}

int fs_fsyncdir(const char* path, int, fuse_file_info*) {
    g_trace.note("fsyncdir", path);
    return 0;
}

int fs_release(const char*, fuse_file_info* info) {
    return answer(::close(static_cast<int>(info->fh)));
}

int fs_unlink(const char* path) {
    if (const int refusal = refused("unlink"); refusal != 0)
        return refusal;
    const int sys = answer(::unlink(real(path).c_str()));
    if (sys == 0)
        g_trace.note("unlink", path);
    return sys;
}

int fs_rename(const char* from, const char* to, unsigned flags) {
    if (const int refusal = refused("rename"); refusal != 0)
        return refusal;
    const int sys =
        answer(::renameat2(AT_FDCWD, real(from).c_str(), AT_FDCWD, real(to).c_str(), flags));
    if (sys == 0)
        g_trace.note("rename", (std::string(from) + " " + to).c_str());
    return sys;
}

int fs_statfs(const char* path, struct statvfs* space) {
    return answer(::statvfs(real(path).c_str(), space));
}

int fs_chmod(const char* path, mode_t mode, fuse_file_info*) {
    return answer(::chmod(real(path).c_str(), mode));
}

off_t fs_lseek(const char*, off_t offset, int whence, fuse_file_info* info) {
    const off_t at = ::lseek(static_cast<int>(info->fh), offset, whence);
    return at < 0 ? -errno : at;
}

void* fs_init(fuse_conn_info*, fuse_config* config) {
    // Every look at a file's length reaches the folder, and every write comes at once.
    config->attr_timeout = 0;
    config->entry_timeout = 0;
    config->hard_remove = 1; // no hidden leftovers that the program did not make
    std::cout << "ready" << std::endl;
    return nullptr;
}

fuse_operations operations() {
    fuse_operations ops{};
    ops.getattr = fs_getattr;
    ops.readdir = fs_readdir;
    ops.open = fs_open;
    ops.create = fs_create;
    ops.read = fs_read;
    ops.write = fs_write;
    ops.truncate = fs_truncate;
    ops.fallocate = fs_fallocate;
    ops.fsync = fs_fsync;
    ops.fsyncdir = fs_fsyncdir;
    ops.release = fs_release;
    ops.unlink = fs_unlink;
    ops.rename = fs_rename;
    ops.statfs = fs_statfs;
    ops.chmod = fs_chmod;
    ops.lseek = fs_lseek;
    ops.init = fs_init;
    return ops;
}

std::optional<Rule> parse_rule(const std::string& kind, std::istringstream& words) {
    Rule rule;
    std::string word;
    if (!(words >> rule.op))
        return std::nullopt;
    if (kind == "fail" || kind == "tear") {
        rule.kind = kind == "fail" ? Rule::Kind::Fail : Rule::Kind::Tear;
        if (!(words >> word) || !kErrors.contains(word))
            return std::nullopt;
        rule.error = kErrors.at(word);
    } else if (kind == "short") {
        rule.kind = Rule::Kind::Short;
        if (!(words >> rule.bytes))
            return std::nullopt;
    } else if (kind == "hang") {
        rule.kind = Rule::Kind::Hang;
    } else {
        return std::nullopt;
    }
    while (words >> word) {
        if (word == "direct" || word == "buffered")
            rule.direct = word == "direct";
        else if (!(word == "skip" && words >> rule.skip) &&
                 !(word == "times" && words >> rule.times))
            return std::nullopt;
    }
    return rule;
}

bool obey(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "clear") {
        g_faults.clear();
    } else if (command == "release") {
        g_faults.release();
    } else if (command == "trace") {
        std::string path;
        return words >> path && g_trace.start(path);
    } else if (command == "untrace") {
        g_trace.stop();
    } else if (auto rule = parse_rule(command, words)) {
        g_faults.add(std::move(*rule));
    } else {
        return false;
    }
    return true;
}

// Takes the file system off MOUNTPOINT: the exit status, or nothing if only fusermount may do it.
// The files of a program that has ended may be closed a moment later than its parent knows, so it
// is tried again while it is busy; in the end nobody new finds it at least.
std::optional<int> unmount(const char* mountpoint) {
    const auto last = std::chrono::steady_clock::now() + kBusyAtMost;
    while (::umount2(mountpoint, UMOUNT_NOFOLLOW) != 0) {
        if (errno != EBUSY && errno != EINTR)
            return std::nullopt;
        if (std::chrono::steady_clock::now() > last) {
            std::cerr << "faultfs: files below " << mountpoint << " are still open" << std::endl;
            ::umount2(mountpoint, UMOUNT_NOFOLLOW | MNT_DETACH);
            return 1;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10)); // the kernel sends no notice
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: faultfs FOLDER MOUNTPOINT\n";
        return 2;
    }
    g_folder = argv[1];
    const std::string program = argv[0];
    std::string options = "-odefault_permissions";
    char* fuse_argv[] = {argv[0], options.data(), nullptr};
    fuse_args args = FUSE_ARGS_INIT(2, fuse_argv);
    const fuse_operations ops = operations();
    fuse* const mounted = fuse_new(&args, &ops, sizeof(ops), nullptr);
    if (mounted == nullptr || fuse_mount(mounted, argv[2]) != 0) {
        std::cerr << program << ": cannot mount at " << argv[2] << '\n';
        return 1;
    }
    std::thread served([mounted] {
        fuse_loop_config* const config = fuse_loop_cfg_create();
        fuse_loop_mt(mounted, config);
        fuse_loop_cfg_destroy(config);
    });
    for (std::string line; std::getline(std::cin, line);)
        std::cout << (obey(line) ? "ok" : "bad command: " + line) << std::endl;
    g_faults.clear(); // nobody may hang for ever
    // Not by way of the loop's end: where another mount namespace has a copy of this mount, the
    // loop would go on until that is gone. With the process everything ends.
    if (const auto status = unmount(argv[2]))
        std::_Exit(*status);
    fuse_exit(mounted);
    fuse_unmount(mounted); // wakes the loop
    served.join();
    fuse_destroy(mounted);
    return 0;
}
