// What saver and loader do when transfers fail, and when they are told to stop.
#include "channels/page_loader.hpp"
#include "channels/page_saver.hpp"

#include "guest_memory.hpp"
#include "job_matrix.hpp"
#include "scripted_engine.hpp"
#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <random>
#include <vector>

using mfd::Errc;
using mfd::kPageSize;
using mfd::PageBitmap;
using mfd::SaveBlock;
using mfd::test::Ending;
using mfd::test::GuestMemory;
using mfd::test::Recorded;
using mfd::test::ScriptedEngine;
using mfd::test::TempFile;

namespace {

constexpr int kDepth = 4; // writes in flight

// Memory full of data, and engines whose answers the test decides.
struct FailingJob {
    explicit FailingJob(mfd::PageIo io = mfd::PageIo::Buffered)
        : page_io(io), memory(8192), present(8192) {
        std::mt19937_64 random(1);
        memory.fill({0, memory.pages()}, random);
        blocks.push_back({"pc.ram", memory.base(), memory.bytes(), 1 << 20, &present});
    }
    mfd::SaveOptions options(unsigned channels, ScriptedEngine::Answer answer) {
        mfd::SaveOptions options;
        options.channels = channels;
        options.transfer_bytes = 16 * kPageSize;
        options.depth = kDepth;
        options.make_engine =
            [this, answer = std::move(answer)](
                const mfd::EngineSetup& setup) -> mfd::Result<std::unique_ptr<mfd::IoEngine>> {
            return std::unique_ptr<mfd::IoEngine>(
                std::make_unique<ScriptedEngine>(setup.depth, answer, record, &engines));
        };
        return options;
    }
    // The transfers that went through this descriptor. Of one channel: engines share the record.
    [[nodiscard]] std::vector<Recorded> seen_through(unsigned descriptor) const {
        std::vector<Recorded> seen;
        std::ranges::copy_if(transfers, std::back_inserter(seen),
                             [&](const Recorded& transfer) { return transfer.file == descriptor; });
        return seen;
    }
    mfd::PageIo page_io;
    TempFile path;
    mfd::MigrationFile file = mfd::test::open_job_file(path, mfd::FileUse::Save, page_io);
    GuestMemory memory;
    PageBitmap present;
    std::vector<SaveBlock> blocks;
    std::vector<Recorded> transfers;
    std::vector<Recorded>* record = nullptr;
    std::atomic<int> engines{0};
    mfd::Counters counters{8};
};

} // namespace

TEST_CASE("a failed write ends the pass with block, offset and reason, and the next one is clean",
          "[page_failure]") {
    const auto channels = GENERATE(1U, 2U, 8U);
    const auto sys = GENERATE(ENOSPC, EIO, EDQUOT, EFBIG, EROFS, EINTR, EAGAIN);
    FailingJob f;
    std::atomic<bool> broken{true};
    constexpr std::uint64_t kBad = (1 << 20) + 160 * kPageSize;
    {
        auto saver =
            mfd::PageSaver::start(f.file,
                                  f.options(channels,
                                            [&](const Recorded& seen) {
                                                return broken && seen.offset == kBad ? sys : 0;
                                            }),
                                  f.counters);
        REQUIRE(saver.has_value());
        const auto result = (*saver)->pass(f.blocks, {});
        REQUIRE(result.has_error());
        CHECK(result.error().sys == sys);
        CHECK(result.error().what ==
              "write pages of block pc.ram at file offset 0x1a0000: " + mfd::errno_text(sys));
        broken = false;
        CHECK((*saver)->pass(f.blocks, {}).has_value());
        CHECK(f.engines == static_cast<int>(channels));
    }
    CHECK(f.engines == 0);
}

TEST_CASE("what a direct write leaves when it is refused in the middle goes through the page cache",
          "[page_failure]") {
    if (!TempFile().offers_direct_io())
        SKIP("the file system of the temporary folder has no O_DIRECT");
    FailingJob f(mfd::PageIo::Direct);
    f.record = &f.transfers;
    const std::uint64_t moved = GENERATE(0U, 4U) * kPageSize;
    constexpr std::uint64_t kBad = (1 << 20) + 160 * kPageSize;
    auto saver = mfd::PageSaver::start(f.file,
                                       f.options(1,
                                                 [&](const Recorded& seen) -> Ending {
                                                     if (seen.file == mfd::kDirectFile &&
                                                         seen.offset == kBad)
                                                         return {EINVAL, moved};
                                                     return 0;
                                                 }),
                                       f.counters);
    REQUIRE(saver.has_value());
    REQUIRE((*saver)->pass(f.blocks, {}).has_value());
    CHECK(f.counters.direct_refusals() == 1);
    CHECK(f.counters.bytes() == f.memory.bytes());
    const auto buffered = f.seen_through(mfd::kBufferedFile);
    REQUIRE(buffered.size() == 1);
    CHECK(buffered[0].offset == kBad + moved);
    CHECK(buffered[0].bytes() == 16 * kPageSize - moved);
    CHECK(buffered[0].parts[0].iov_base == f.memory.base() + 160 * kPageSize + moved);
    CHECK(f.seen_through(mfd::kDirectFile).size() == 512); // all of them, the refused one too
}

TEST_CASE("a direct read that is refused is made through the page cache, and the next is direct",
          "[page_failure]") {
    if (!TempFile().offers_direct_io())
        SKIP("the file system of the temporary folder has no O_DIRECT");
    FailingJob f(mfd::PageIo::Direct);
    f.record = &f.transfers;
    f.present.set_range({0, f.present.pages()});
    mfd::LoadOptions options;
    options.channels = 1;
    options.transfer_bytes = 16 * kPageSize;
    options.make_engine =
        f.options(1, [](const Recorded& seen) -> Ending {
             return seen.file == mfd::kDirectFile && seen.offset % 3 == 0 ? EINVAL : 0;
         }).make_engine;
    auto loader = mfd::PageLoader::start(f.file, options, f.counters);
    REQUIRE(loader.has_value());
    const std::vector<mfd::LoadBlock> blocks{
        {"m0", f.memory.base(), f.memory.bytes(), 0, &f.present, {}}};
    REQUIRE((*loader)->load(blocks, {}).has_value());
    const auto buffered = f.seen_through(mfd::kBufferedFile);
    CHECK(f.seen_through(mfd::kDirectFile).size() == 512);
    CHECK(buffered.size() == 171); // every third of 512
    CHECK(f.counters.direct_refusals() == buffered.size());
    CHECK(std::ranges::all_of(buffered, [](const Recorded& seen) {
        return seen.offset % 3 == 0 && seen.bytes() == 16 * kPageSize;
    }));
}

TEST_CASE("when everything fails the pass ends at once with one of the errors", "[page_failure]") {
    FailingJob f;
    std::atomic<int> writes{0};
    auto saver = mfd::PageSaver::start(f.file,
                                       f.options(4,
                                                 [&](const Recorded&) {
                                                     ++writes;
                                                     return EIO;
                                                 }),
                                       f.counters);
    REQUIRE(saver.has_value());
    const auto result = (*saver)->pass(f.blocks, {});
    REQUIRE(result.has_error());
    CHECK(result.error().sys == EIO);
    CHECK(writes <= 4 * (kDepth + 1)); // what was in flight, and not the 512 of the whole memory
}

TEST_CASE("a cancel between transfers ends the pass as cancelled", "[page_failure]") {
    const auto channels = GENERATE(1U, 8U);
    FailingJob f;
    std::stop_source stop;
    std::atomic<int> writes{0};
    auto saver = mfd::PageSaver::start(f.file,
                                       f.options(channels,
                                                 [&](const Recorded&) {
                                                     if (++writes == 3)
                                                         stop.request_stop();
                                                     return 0;
                                                 }),
                                       f.counters);
    REQUIRE(saver.has_value());
    const auto result = (*saver)->pass(f.blocks, stop.get_token());
    REQUIRE(result.has_error());
    CHECK(result.error().code == Errc::Cancelled);
    CHECK(writes < 512);
}

TEST_CASE("a cancel reaches workers that wait for bandwidth", "[page_failure]") {
    FailingJob f;
    std::stop_source stop;
    mfd::RateLimiter limiter(1);
    auto options = f.options(2, [&](const Recorded&) {
        stop.request_stop();
        return 0;
    });
    options.limiter = &limiter;
    options.depth = 1;
    auto saver = mfd::PageSaver::start(f.file, options, f.counters);
    REQUIRE(saver.has_value());
    CHECK((*saver)->pass(f.blocks, stop.get_token()).error().code == Errc::Cancelled);
}

TEST_CASE("a pass that is already cancelled writes nothing", "[page_failure]") {
    FailingJob f;
    std::stop_source stop;
    stop.request_stop();
    auto saver =
        mfd::PageSaver::start(f.file, f.options(2, [](const Recorded&) { return 0; }), f.counters);
    REQUIRE(saver.has_value());
    CHECK((*saver)->pass(f.blocks, stop.get_token()).error().code == Errc::Cancelled);
    CHECK(f.counters.bytes() == 0);
}

TEST_CASE("an engine that cannot be made fails the start", "[page_failure]") {
    FailingJob f;
    mfd::SaveOptions options;
    options.make_engine =
        [](const mfd::EngineSetup&) -> mfd::Result<std::unique_ptr<mfd::IoEngine>> {
        return mfd::make_sys_error("set up io_uring", EPERM);
    };
    const auto saver = mfd::PageSaver::start(f.file, options, f.counters);
    REQUIRE(saver.has_error());
    CHECK(saver.error().what == "set up io_uring: Operation not permitted");
}

TEST_CASE("a full disk is the error of a save on the real file system", "[page_failure]") {
    FailingJob f;
    // /dev/full takes no bytes; the migration file itself would refuse it, its workers do not know.
    mfd::SaveOptions options;
    const mfd::UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    REQUIRE(full.valid());
    const auto kind = GENERATE(mfd::EngineKind::Pwritev, mfd::EngineKind::Uring);
    if (kind == mfd::EngineKind::Uring && !mfd::probe_engines().uring)
        SKIP("no io_uring");
    options.make_engine = [&](const mfd::EngineSetup& setup) {
        return mfd::make_engine({kind, {full.ref()}, setup.depth, true});
    };
    auto saver = mfd::PageSaver::start(f.file, options, f.counters);
    REQUIRE(saver.has_value());
    const auto result = (*saver)->pass(f.blocks, {});
    REQUIRE(result.has_error());
    CHECK(result.error().sys == ENOSPC);
}

TEST_CASE("a failed read ends the load with block, page, offset and reason", "[page_failure]") {
    const auto sys = GENERATE(EIO, EINTR, EAGAIN, mfd::kEndOfFile);
    FailingJob f;
    f.present.set_range({0, f.present.pages()});
    mfd::LoadOptions options;
    options.transfer_bytes = 16 * kPageSize;
    options.make_engine =
        [&](const mfd::EngineSetup& setup) -> mfd::Result<std::unique_ptr<mfd::IoEngine>> {
        return std::unique_ptr<mfd::IoEngine>(std::make_unique<ScriptedEngine>(
            setup.depth,
            [sys](const Recorded& seen) { return seen.offset == 160 * kPageSize ? sys : 0; },
            nullptr, &f.engines));
    };
    {
        auto loader = mfd::PageLoader::start(f.file, options, f.counters);
        REQUIRE(loader.has_value());
        const std::vector<mfd::LoadBlock> blocks{
            {"m0", f.memory.base(), f.memory.bytes(), 0, &f.present, {}}};
        const auto result = (*loader)->load(blocks, {});
        REQUIRE(result.has_error());
        CHECK(result.error().what ==
              "read pages of block m0, page 160, from file offset 0xa0000: " +
                  mfd::completion_text(sys));
    }
    CHECK(f.engines == 0);
}
