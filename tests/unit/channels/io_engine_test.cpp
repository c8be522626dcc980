#include "channels/io_engine.hpp"
#include "tests/support/sanitizers.hpp"

#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <vector>

#include <sys/resource.h>

using mfd::EngineKind;
using mfd::FdRef;
using mfd::IoEngine;
using mfd::TransferOp;
using mfd::test::TempFile;

namespace {

std::unique_ptr<IoEngine> make(EngineKind kind, std::vector<FdRef> files, std::size_t depth = 4) {
    auto engine = mfd::make_engine({kind, std::move(files), depth, false});
    REQUIRE(engine.has_value());
    return std::move(*engine);
}

// Every kind this kernel offers.
EngineKind any_kind() {
    const auto kind = GENERATE(EngineKind::Pwritev, EngineKind::Uring);
    if (kind == EngineKind::Uring && !mfd::probe_engines().uring)
        SKIP("no io_uring: " << mfd::probe_engines().uring_reason);
    return kind;
}

std::vector<std::byte> engine_pattern(std::size_t bytes, unsigned seed) {
    std::vector<std::byte> data(bytes);
    for (std::size_t at = 0; at < bytes; ++at)
        data[at] = static_cast<std::byte>(at * 13 + at / 256 + seed);
    return data;
}

} // namespace

TEST_CASE("transfers of many parts go where they belong and come back", "[io_engine]") {
    const auto kind = any_kind();
    const TempFile file;
    const auto fd = file.open(O_RDWR);
    const auto engine = make(kind, {FdRef(), fd.ref()});
    auto data = engine_pattern(300'000, 1);
    std::vector<iovec> parts;
    for (std::size_t at = 0; at < data.size(); at += 1000)
        parts.push_back({data.data() + at, 1000});
    engine->start({TransferOp::Write, 1, 5000, parts, 42});
    REQUIRE(engine->in_flight() == 1);
    const auto written = engine->reap();
    REQUIRE(written.has_value());
    CHECK(written->tag == 42);
    CHECK(written->sys == 0);
    CHECK(written->bytes == data.size());
    CHECK(engine->in_flight() == 0);
    CHECK(file.read(5000, data.size()) == data);

    std::vector<std::byte> back(data.size());
    std::vector<iovec> one{{back.data(), back.size()}};
    engine->start({TransferOp::Read, 1, 5000, one, 43});
    CHECK(engine->reap()->sys == 0);
    CHECK(back == data);
}

TEST_CASE("a full engine completes every transfer once", "[io_engine]") {
    const auto kind = any_kind();
    const TempFile file;
    const auto fd = file.open(O_RDWR);
    const auto engine = make(kind, {fd.ref()});
    constexpr std::size_t kBytes = 4096;
    auto data = engine_pattern(64 * kBytes, 2);
    std::vector<iovec> parts(64);
    std::vector<std::uint64_t> tags;
    for (std::uint64_t tag = 0; tag < 64; ++tag) {
        parts[tag] = {data.data() + tag * kBytes, kBytes};
        if (engine->in_flight() == engine->depth())
            tags.push_back(engine->reap()->tag);
        engine->start({TransferOp::Write, 0, tag * kBytes, {&parts[tag], 1}, tag});
    }
    while (engine->in_flight() > 0)
        tags.push_back(engine->reap()->tag);
    std::ranges::sort(tags);
    REQUIRE(tags.size() == 64);
    CHECK(tags.front() == 0);
    CHECK(tags.back() == 63);
    CHECK(std::ranges::adjacent_find(tags) == tags.end());
    CHECK(file.read(0, data.size()) == data);
}

TEST_CASE("a read past the end of the file says so after what there was", "[io_engine]") {
    const auto kind = any_kind();
    const TempFile file;
    const auto data = engine_pattern(5000, 3);
    file.write(0, data);
    const auto fd = file.open(O_RDONLY);
    const auto engine = make(kind, {fd.ref()});
    std::vector<std::byte> back(8192);
    std::vector<iovec> parts{{back.data(), 4096}, {back.data() + 4096, 4096}};
    engine->start({TransferOp::Read, 0, 0, parts, 0});
    const auto done = engine->reap();
    REQUIRE(done.has_value());
    CHECK(done->sys == mfd::kEndOfFile);
    CHECK(mfd::completion_text(done->sys) == "end of file");
    CHECK(std::equal(data.begin(), data.end(), back.begin()));
}

TEST_CASE("the kernel's refusal comes with the completion", "[io_engine]") {
    const auto kind = any_kind();
    const TempFile file;
    const auto fd = file.open(O_RDONLY);
    const auto engine = make(kind, {fd.ref()});
    auto data = engine_pattern(4096, 4);
    std::vector<iovec> parts{{data.data(), data.size()}};
    engine->start({TransferOp::Write, 0, 0, parts, 0});
    CHECK(engine->reap()->sys == EBADF);
}

TEST_CASE("an engine that dies with transfers in flight waits for them", "[io_engine]") {
    const auto kind = any_kind();
    const TempFile file;
    const auto fd = file.open(O_RDWR);
    const auto data = engine_pattern(1 << 20, 5);
    {
        auto copy = data;
        std::vector<iovec> parts{{copy.data(), copy.size()}};
        make(kind, {fd.ref()})->start({TransferOp::Write, 0, 0, parts, 0});
    }
    CHECK(file.read(0, data.size()) == data);
}

TEST_CASE("the automatic choice always gives an engine", "[io_engine]") {
    const TempFile file;
    const auto fd = file.open(O_RDWR);
    const bool direct = GENERATE(false, true);
    CHECK(mfd::make_engine({EngineKind::Auto, {fd.ref()}, 2, direct}).has_value());
}

TEST_CASE("the probe says why, or how", "[io_engine]") {
    CHECK_FALSE(mfd::probe_engines().uring_reason.empty());
}

#if !MFD_UBSAN
TEST_CASE("io_uring that cannot be had is an error where it is asked for, else pwritev",
          "[io_engine]") {
    if (!mfd::probe_engines().uring)
        SKIP("no io_uring: " << mfd::probe_engines().uring_reason);
    const TempFile file;
    const auto fd = file.open(O_RDWR);
    // A ring is a descriptor, and with this limit there are no more of them.
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none{0, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const auto asked = mfd::make_engine({EngineKind::Uring, {fd.ref()}, 4, true});
    const auto chosen = mfd::make_engine({EngineKind::Auto, {fd.ref()}, 4, true});
    const auto probed = mfd::probe_engines();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);

    REQUIRE(asked.has_error());
    CHECK(asked.error().what == "set up io_uring: Too many open files");
    CHECK(chosen.has_value());
    CHECK_FALSE(probed.uring);
    CHECK(probed.uring_reason == asked.error().what);
}
#endif

TEST_CASE("a descriptor that is none cannot be registered with io_uring", "[io_engine]") {
    if (!mfd::probe_engines().uring)
        SKIP("no io_uring: " << mfd::probe_engines().uring_reason);
    int closed = -1;
    {
        const TempFile file;
        closed = file.open(O_RDWR).get();
    }
    const auto refused = mfd::make_engine({EngineKind::Uring, {FdRef(closed)}, 4, true});
    REQUIRE(refused.has_error());
    CHECK(refused.error().what == "register files with io_uring: Bad file descriptor");
}
