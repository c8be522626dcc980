// multifdctl bench: how fast a file system saves and restores a guest. Needs no server: it runs a
// multifdd of its own.
#include "qmp/ctl/bench_guest.hpp"
#include "qmp/ctl/bench_raw.hpp"
#include "qmp/ctl/bench_result.hpp"
#include "qmp/ctl/file_command.hpp"
#include "qmp/ctl/interrupts.hpp"
#include "qmp/ctl/job.hpp"
#include "qmp/ctl/progress.hpp"
#include "qmp/ctl/terminal.hpp"
#include "qmp/files/page_sinks.hpp"
#include "qmp/units.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <span>
#include <sstream>
#include <vector>

#include <sys/statfs.h>
#include <unistd.h>

namespace mfd::ctl {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kProbeBytes = 64 * kMiB;
constexpr std::uint64_t kLargestGuest =
    4096 * kMiB; // that is chosen here; more has to be asked for
// Chosen: what a first look at a file system may take, with what is around the measurements.
constexpr double kBudgetSeconds = 20;
constexpr std::uint64_t kSpareBytes = 64 * kMiB;

struct BenchOptions {
    std::string folder;
    std::string size; // empty: by the speed
    std::vector<unsigned> channels{1, 2, 4, 8};
    unsigned rounds = 0; // 0: by the speed
    std::string multifdd;
    std::string svg;
    bool force = false;
    bool json = false;
    bool quiet = false;
};

// A folder of our own that goes away with what is in it.
class ScratchFolder {
public:
    static Result<ScratchFolder> make(const std::string& parent) {
        std::string name = parent + "/.multifdctl-bench.XXXXXX";
        if (::mkdtemp(name.data()) == nullptr)
            return make_sys_error("make a folder in " + parent, errno);
        return ScratchFolder(std::move(name));
    }
    ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    ScratchFolder& operator=(ScratchFolder&&) = delete;
    ~ScratchFolder() {
        std::error_code ignored;
        if (!path_.empty())
            fs::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

std::string file_system_name(const struct statfs& info) {
    static const std::map<std::uint64_t, const char*> names{
        {0xef53, "ext4"},      {0x58465342, "xfs"},     {0x9123683e, "btrfs"},
        {0x01021994, "tmpfs"}, {0x6969, "nfs"},         {0x2fc12fc1, "zfs"},
        {0xf2f52010, "f2fs"},  {0x65735546, "fuse"},    {0x794c7630, "overlayfs"},
        {0xff534d42, "cifs"},  {0x0bd00bd0, "lustre"},  {0x00c36400, "ceph"},
        {0x1161970, "gfs2"},   {0xca451a4e, "bcachefs"}};
    const auto found = names.find(static_cast<std::uint64_t>(info.f_type) & 0xffffffff);
    return found == names.end() ? "a file system of type " + std::to_string(info.f_type)
                                : found->second;
}

std::uint64_t available_memory() {
    std::ifstream info("/proc/meminfo");
    constexpr std::uint64_t kKiB = 1024;
    for (std::string line; std::getline(info, line);) {
        std::istringstream words(line);
        std::string name;
        std::uint64_t value = 0;
        if (words >> name >> value && name == "MemAvailable:")
            return value * kKiB;
    }
    return kLargestGuest;
}

// Beside this program, or in PATH.
Result<std::string> find_multifdd(const std::string& given) {
    const auto runs = [](const std::string& path) { return ::access(path.c_str(), X_OK) == 0; };
    if (!given.empty())
        return runs(given) ? Result<std::string>(given)
                           : Result<std::string>(make_sys_error("run " + given, errno));
    std::error_code none;
    const fs::path self = fs::read_symlink("/proc/self/exe", none);
    if (const auto beside = (self.parent_path() / "multifdd").string(); !none && runs(beside))
        return beside;
    std::istringstream folders(environment("PATH"));
    for (std::string folder; std::getline(folders, folder, ':');)
        if (const auto there = folder + "/multifdd"; runs(there))
            return there;
    return Error{Errc::NotFound,
                 "multifdd is neither beside this program nor in PATH; name it with --multifdd",
                 ENOENT};
}

double median_of(std::vector<double> values) {
    std::ranges::sort(values);
    return values.empty() ? 0 : values[values.size() / 2];
}

class Bench {
public:
    Bench(const BenchOptions& options, const Interrupts& interrupts)
        : options_(options), stop_(interrupts.fd()),
          display_("bench",
                   options.quiet ? ProgressMode::Off : pick_progress_mode(FdRef(STDERR_FILENO))) {}

    Result<BenchResult> run() {
        MFD_TRY(program_, find_multifdd(options_.multifdd));
        MFD_CHECK(look_at_folder());
        MFD_TRY(const auto scratch, ScratchFolder::make(options_.folder));
        MFD_TRY(const auto sockets, ScratchFolder::make(fs::temp_directory_path()));
        scratch_ = scratch.path();
        sockets_ = sockets.path();
        MFD_CHECK(choose_size());
        MFD_TRY(auto memory, BenchMemory::make(result_.guest_bytes));
        memory.fill();
        steps_ = result_.rounds * (1 + options_.channels.size()) * (result_.has_direct ? 2 : 1);
        for (unsigned round = 0; round < result_.rounds; ++round)
            MFD_CHECK(measure_once(memory));
        collect();
        return std::move(result_);
    }
    void clear() { display_.clear(); }

private:
    // Seconds of all rounds, of one way of saving and restoring.
    struct Times {
        std::vector<double> save;
        std::vector<double> restore;
    };
    using Way = std::pair<unsigned, bool>; // channels (0: raw), direct

    Result<void> look_at_folder() {
        struct statfs info {};
        if (::statfs(options_.folder.c_str(), &info) != 0)
            return bad_argument(options_.folder + ": " + errno_text(errno));
        std::error_code none;
        if (!fs::is_directory(options_.folder, none))
            return bad_argument(options_.folder + " is no folder; name one on the file system to "
                                                  "be measured");
        result_.folder = fs::absolute(options_.folder).lexically_normal();
        result_.file_system = file_system_name(info);
        free_bytes_ =
            static_cast<std::uint64_t>(info.f_bavail) * static_cast<std::uint64_t>(info.f_bsize);
        return {};
    }

    Result<void> check_room(std::uint64_t bytes) const {
        const std::uint64_t wanted = bytes + bytes / 16 + kSpareBytes;
        if (free_bytes_ < wanted)
            return Error{Errc::Io,
                         options_.folder + " has " + format_bytes(free_bytes_) + " free, and " +
                             format_bytes(wanted) +
                             " are needed; make room, or take less memory with --size",
                         ENOSPC};
        // The guest that is saved and the one that is restored.
        if (const auto memory = available_memory(); memory < 2 * wanted)
            return Error{Errc::Io,
                         "this machine has " + format_bytes(memory) + " of memory to spare, and " +
                             format_bytes(2 * wanted) + " are needed; take less with --size",
                         ENOMEM};
        return {};
    }

    // The size, and the number of rounds, with which all fits into the budget.
    Result<void> choose_size() {
        std::uint64_t probe_bytes = kProbeBytes;
        if (!options_.size.empty()) {
            MFD_TRY(result_.guest_bytes, parse_size(options_.size));
            result_.guest_bytes = result_.guest_bytes / kMiB * kMiB;
            if (result_.guest_bytes == 0)
                return bad_argument("--size " + options_.size + ": give at least 1M");
            probe_bytes = std::min(probe_bytes, result_.guest_bytes);
        }
        MFD_CHECK(check_room(std::max(probe_bytes, result_.guest_bytes)));
        MFD_TRY(auto probe, BenchMemory::make(probe_bytes));
        probe.fill();
        MFD_TRY(auto into, BenchMemory::make(probe_bytes));
        auto direct = measure_raw(raw_file(), probe.bytes(), into.bytes(), true, stop_);
        if (!direct.has_value() && direct.error().code != Errc::Unsupported)
            return std::move(direct).error();
        result_.has_direct = direct.has_value();
        MFD_TRY(const auto buffered,
                measure_raw(raw_file(), probe.bytes(), into.bytes(), false, stop_));
        const BenchRates rates = direct.has_value() ? *direct : buffered;
        const double per_byte = (1 / rates.save + 1 / rates.restore) *
                                static_cast<double>(1 + options_.channels.size()) *
                                (result_.has_direct ? 2 : 1);
        constexpr unsigned kRounds = 3;
        const auto seconds = [&](std::uint64_t bytes, unsigned rounds) {
            return per_byte * static_cast<double>(bytes) * rounds;
        };
        if (options_.size.empty()) {
            result_.guest_bytes = kProbeBytes;
            while (result_.guest_bytes < kLargestGuest &&
                   seconds(2 * result_.guest_bytes, kRounds) <= kBudgetSeconds &&
                   check_room(2 * result_.guest_bytes).has_value())
                result_.guest_bytes *= 2;
        }
        result_.rounds = options_.rounds;
        if (result_.rounds == 0)
            result_.rounds = seconds(result_.guest_bytes, kRounds) <= kBudgetSeconds ? kRounds : 1;
        return {};
    }

    // One round: all ways, one after the other, so that a slow minute hits all of them.
    Result<void> measure_once(const BenchMemory& memory) {
        MFD_TRY(auto source,
                BenchGuest::start(program_, sockets_, memory, BenchRole::Saves, stop_));
        for (const bool direct : {true, false}) {
            if (direct && !result_.has_direct)
                continue;
            MFD_CHECK(measure_raw_once(memory, direct));
            for (const unsigned channels : options_.channels)
                MFD_CHECK(measure_way(source, {channels, direct}));
        }
        return {};
    }

    Result<void> measure_raw_once(const BenchMemory& memory, bool direct) {
        MFD_TRY(auto into, BenchMemory::make(result_.guest_bytes));
        MFD_TRY(const auto rates,
                measure_raw(raw_file(), memory.bytes(), into.bytes(), direct, stop_));
        add({0, direct}, static_cast<double>(result_.guest_bytes) / rates.save,
            static_cast<double>(result_.guest_bytes) / rates.restore);
        return {};
    }

    Result<void> measure_way(BenchGuest& source, Way way) {
        const std::string file = scratch_ + "/guest.mig";
        MFD_TRY(const double save, source.run(file, way.first, way.second));
        MFD_CHECK(drop_from_cache(file));
        MFD_TRY(auto into, BenchMemory::make(result_.guest_bytes));
        MFD_TRY(const auto folder, ScratchFolder::make(sockets_));
        MFD_TRY(auto target,
                BenchGuest::start(program_, folder.path(), into, BenchRole::Restores, stop_));
        MFD_TRY(const double restore, target.run(file, way.first, way.second));
        std::error_code ignored;
        fs::remove(file, ignored);
        add(way, save, restore);
        return {};
    }

    void add(Way way, double save, double restore) {
        times_[way].save.push_back(save);
        times_[way].restore.push_back(restore);
        ++steps_done_;
        ProgressSample sample;
        sample.status = "round " + std::to_string(times_[way].save.size());
        sample.counts_known = true;
        sample.total_bytes = steps_ * 2 * result_.guest_bytes;
        sample.remaining_bytes = (steps_ - steps_done_) * 2 * result_.guest_bytes;
        sample.transferred_bytes = sample.total_bytes - sample.remaining_bytes;
        sample.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - began_);
        display_.show(sample);
    }

    void collect() {
        const auto rate = [this](const std::vector<double>& seconds) {
            return static_cast<double>(result_.guest_bytes) / median_of(seconds);
        };
        for (const auto& [way, times] : times_) {
            const BenchRates rates{rate(times.save), rate(times.restore)};
            if (way.first != 0)
                result_.rows.push_back({way.first, way.second, rates});
            else
                (way.second ? result_.raw_direct : result_.raw_buffered) = rates;
        }
        std::ranges::stable_sort(
            result_.rows, [](const BenchRow& a, const BenchRow& b) { return a.direct > b.direct; });
    }

    [[nodiscard]] std::string raw_file() const { return scratch_ + "/raw"; }

    const BenchOptions& options_;
    FdRef stop_;
    ProgressDisplay display_;
    BenchResult result_;
    std::string program_;
    std::string scratch_; // on the file system that is measured
    std::string sockets_;
    std::uint64_t free_bytes_ = 0;
    std::map<Way, Times> times_;
    std::uint64_t steps_ = 0;
    std::uint64_t steps_done_ = 0;
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

Result<void> write_plot(files::OutputFile& out, const BenchResult& result) {
    const std::string text = bench_svg(result);
    MFD_CHECK(files::write_stream({out.fd(), out.path()}, std::as_bytes(std::span(text))));
    return out.complete();
}

Exit run_bench(const BenchOptions& options) {
    auto interrupts = Interrupts::make();
    if (!interrupts.has_value())
        return fail("bench", interrupts.error());
    // Before the work: a name that is taken is known now.
    std::optional<files::OutputFile> plot;
    if (!options.svg.empty()) {
        auto made = files::OutputFile::create(options.svg,
                                              options.force ? Existing::Replace : Existing::Keep);
        if (!made.has_value())
            return fail("bench", made.error(), Exit::Usage);
        plot = *std::move(made);
    }
    Bench bench(options, *interrupts);
    const auto result = bench.run();
    bench.clear();
    if (!result.has_value()) {
        if (result.error().code == Errc::Cancelled) {
            say("bench", "interrupted; nothing is left in " + options.folder);
            return Exit::Interrupted;
        }
        return fail("bench", result.error(),
                    result.error().code == Errc::BadArgument ? Exit::Usage : Exit::Failed);
    }
    if (options.json)
        print_json(bench_json(*result));
    else
        std::cout << bench_table(*result);
    if (!plot)
        return Exit::Ok;
    const auto drawn = write_plot(*plot, *result);
    return drawn.has_value() ? Exit::Ok : fail("bench", drawn.error());
}

} // namespace

void add_bench(CLI::App& app, Invocation& invocation) {
    auto* command =
        app.add_subcommand("bench", "Measure how fast a file system saves and restores a guest");
    const auto options = std::make_shared<BenchOptions>();
    command
        ->add_option("DIR", options->folder,
                     "A folder on the file system; files in it are removed again")
        ->required();
    command
        ->add_option("--size", options->size,
                     "Memory of the guest (default: as much as half a minute allows)")
        ->check(CLI::Validator(check_size, "SIZE"));
    command
        ->add_option("--channels", options->channels,
                     "Numbers of multifd channels to try (default 1,2,4,8)")
        ->delimiter(',')
        ->check(CLI::Range(1, 255));
    command
        ->add_option("--rounds", options->rounds,
                     "How often to measure; medians are shown (default 3, on slow ones 1)")
        ->check(CLI::Range(1, 99));
    command->add_option("--svg", options->svg, "OUT: draw a plot into this new file");
    command->add_flag("--force", options->force, "Replace a file that is there");
    command->add_option("--multifdd", options->multifdd,
                        "The daemon to run (default: beside this program, or in PATH)");
    command->add_flag("--json", options->json, "The result as a JSON object");
    command->add_flag("-q,--quiet", options->quiet, "No progress");
    command->footer("Examples:\n"
                    "  multifdctl bench /var/lib/vm\n"
                    "  multifdctl bench /mnt/nfs --size 4G --channels 2,4,16 --svg nfs.svg\n\n"
                    "Exit status: 0 done, 1 failed, 2 wrong options, 130 interrupted.");
    command->callback(
        [options, &invocation] { invocation.run = [options] { return run_bench(*options); }; });
}

} // namespace mfd::ctl
