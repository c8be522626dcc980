// Saves and restores pretended guest memory on a real file system and prints wall time and CPU
// time of each repetition's parts: the pages, the sync behind them, and the way back.
#include "guest_content.hpp"

#include "channels/checksum_table.hpp"
#include "channels/page_loader.hpp"
#include "channels/page_saver.hpp"
#include "proto/checked.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

namespace {

using mfd::bench::Content;
using mfd::bench::GuestContent;

struct Settings {
    std::string path = "bench.mig";
    Content content = Content::Data;
    std::uint64_t mib = 2048;
    unsigned repeat = 5;
    bool direct = false;
    bool restore = false;
    bool keep = false; // write into the blocks that the file has already
    bool extents = true;
    bool checksums = false;
    bool remap = false;
    bool huge = false;
    bool cold = true;
    mfd::EngineKind engine = mfd::EngineKind::Auto;
    unsigned channels = 2;
    std::size_t transfer_kib = 1024;
    std::size_t bridge_kib = 32;
    std::size_t depth = 4;
};

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

template <class T>
T must(mfd::Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", result.error().what.c_str());
        std::exit(1);
    }
    return std::move(*result);
}

void must(const mfd::Result<void>& result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", result.error().what.c_str());
        std::exit(1);
    }
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

mfd::MigrationFile open_file(const Settings& settings, mfd::FileUse use) {
    mfd::FdSets sets;
    auto target =
        must(mfd::resolve_target(sets, settings.path, 0, use,
                                 settings.direct ? mfd::PageIo::Direct : mfd::PageIo::Buffered));
    return use == mfd::FileUse::Save ? must(mfd::MigrationFile::open_save(std::move(target)))
                                     : must(mfd::MigrationFile::open_load(std::move(target)));
}

constexpr std::uint64_t kPagesOffset = 1 << 20;

std::uint64_t checksums_offset(const GuestContent& guest) {
    return kPagesOffset + guest.bytes();
}

void save(const Settings& settings, GuestContent& guest, mfd::PageBitmap& present) {
    std::vector<double> walls;
    std::vector<double> syncs;
    std::vector<double> cpus;
    mfd::Counters last(1);
    for (unsigned run = 0; run < settings.repeat; ++run) {
        if (!settings.keep)
            ::unlink(settings.path.c_str());
        if (settings.remap)
            guest.remap();
        ::sync();
        const double cpu = cpu_seconds();
        const double begun = now();
        auto file = open_file(settings, mfd::FileUse::Save);
        must(file.reserve(kPagesOffset + guest.bytes()));
        mfd::Counters counters(settings.channels);
        mfd::SaveOptions options;
        options.write_back = mfd::WriteBack::AtOnce;
        options.channels = settings.channels;
        options.engine = settings.engine;
        options.transfer_bytes = settings.transfer_kib << 10;
        options.bridge_bytes = settings.bridge_kib << 10;
        options.depth = settings.depth;
        {
            const auto saver = must(mfd::PageSaver::start(file, options, counters));
            std::vector<mfd::SaveBlock> blocks{
                {"m0", guest.base(), guest.bytes(), kPagesOffset, &present}};
            if (settings.extents)
                blocks[0].data = guest.extents();
            const auto table = must(mfd::ChecksumTable::make(present.pages()));
            if (settings.checksums)
                blocks[0].checksums = table.entries();
            must(saver->pass(blocks, {}));
            std::uint64_t bytes = 0;
            if (settings.checksums)
                must(table.write(file, checksums_offset(guest), present, bytes));
        }
        const double written = now();
        must(file.complete({}));
        const double synced = now();
        walls.push_back(written - begun);
        syncs.push_back(synced - begun);
        cpus.push_back(cpu_seconds() - cpu);
        if (run + 1 == settings.repeat) {
            mfd::LatencyHistogram latency;
            for (unsigned channel = 0; channel < settings.channels; ++channel)
                latency.merge(counters.channel(channel).latency);
            std::printf("save: pages %.3f s, with sync %.3f s (best %.3f s), cpu %.3f s, "
                        "%.0f MiB written, p50 %lu us, p99 %lu us\n",
                        median(walls), median(syncs), *std::ranges::min_element(syncs),
                        median(cpus), static_cast<double>(counters.bytes()) / 1048576.0,
                        latency.percentile_us(50), latency.percentile_us(99));
        }
    }
}

void drop_cache(const std::string& path) {
    const mfd::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
}

void restore(const Settings& settings, const GuestContent& guest, const mfd::PageBitmap& present) {
    std::vector<double> walls;
    std::vector<double> cpus;
    for (unsigned run = 0; run < settings.repeat; ++run) {
        if (settings.cold)
            drop_cache(settings.path);
        GuestContent target(Content::Untouched, guest.bytes());
        if (settings.huge)
            ::madvise(target.base(), target.bytes(), MADV_HUGEPAGE);
        const double cpu = cpu_seconds();
        const double begun = now();
        auto file = open_file(settings, mfd::FileUse::Load);
        mfd::Counters counters(settings.channels);
        mfd::LoadOptions options;
        options.channels = settings.channels;
        options.engine = settings.engine;
        options.transfer_bytes = settings.transfer_kib << 10;
        options.bridge_bytes = settings.bridge_kib << 10;
        options.depth = settings.depth;
        const auto loader = must(mfd::PageLoader::start(file, options, counters));
        const auto fresh = [](mfd::PageRun) -> mfd::Result<void> { return {}; };
        mfd::LoadBlock block{"m0", target.base(), target.bytes(), kPagesOffset, &present, fresh};
        if (settings.checksums)
            block.checksums_offset = checksums_offset(guest);
        must(loader->load({&block, 1}, {}));
        walls.push_back(now() - begun);
        cpus.push_back(cpu_seconds() - cpu);
        if (run == 0 && target.checksum() != guest.checksum()) {
            std::fprintf(stderr, "restored memory differs\n");
            std::exit(1);
        }
    }
    std::printf("restore: %.3f s (best %.3f s), cpu %.3f s\n", median(walls),
                *std::ranges::min_element(walls), median(cpus));
}

} // namespace

int main(int argc, char** argv) {
    Settings settings;
    CLI::App app("save and restore of pretended guest memory");
    const std::map<std::string, Content> contents{{"data", Content::Data},
                                                  {"half", Content::Half},
                                                  {"runs", Content::Runs},
                                                  {"zero", Content::Zero},
                                                  {"untouched", Content::Untouched}};
    const std::map<std::string, mfd::EngineKind> engines{{"auto", mfd::EngineKind::Auto},
                                                         {"uring", mfd::EngineKind::Uring},
                                                         {"pwritev", mfd::EngineKind::Pwritev}};
    app.add_option("--file", settings.path);
    app.add_option("--content", settings.content)->transform(CLI::CheckedTransformer(contents));
    app.add_option("--mib", settings.mib);
    app.add_option("--repeat", settings.repeat)->check(CLI::PositiveNumber);
    app.add_flag("--direct", settings.direct);
    app.add_flag("--restore", settings.restore);
    app.add_flag("--keep", settings.keep);
    app.add_flag("--extents,!--no-extents", settings.extents);
    app.add_flag("--checksums", settings.checksums);
    app.add_flag("--remap", settings.remap);
    app.add_flag("--huge", settings.huge);
    app.add_flag("--cold,!--warm", settings.cold);
    app.add_option("--engine", settings.engine)->transform(CLI::CheckedTransformer(engines));
    app.add_option("--channels", settings.channels)->check(CLI::Range(1, 255));
    app.add_option("--transfer-kib", settings.transfer_kib);
    app.add_option("--bridge-kib", settings.bridge_kib);
    app.add_option("--depth", settings.depth);
    CLI11_PARSE(app, argc, argv);

    GuestContent guest(settings.content, settings.mib << 20);
    mfd::PageBitmap present(guest.bytes() / mfd::kPageSize);
    save(settings, guest, present);
    if (settings.restore)
        restore(settings, guest, present);
    ::unlink(settings.path.c_str());
    return 0;
}
