#include "channels/run_builder.hpp"

#include "scripted_engine.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <random>
#include <vector>

using mfd::kPageSize;
using mfd::PageRun;
using mfd::PageSource;
using mfd::RunBuilder;
using mfd::TransferOp;
using mfd::test::Recorded;
using mfd::test::ScriptedEngine;

namespace {

// A builder over an engine that records. Memory is never touched, so any address will do.
struct RunFixture {
    explicit RunFixture(mfd::RunLimits limits, std::uint64_t pages_offset = 1 << 20,
                        mfd::RateLimiter* limiter = nullptr)
        : window(std::make_unique<ScriptedEngine>(
                     2, [](const Recorded&) { return 0; }, &record),
                 counters.channel(0), limiter),
          runs(window, TransferOp::Write, limits) {
        runs.set_target({{&name, pages_offset}, base});
    }
    void add(std::uint64_t first, std::uint64_t count, PageSource source = PageSource::Guest) {
        REQUIRE(runs.add({first, count}, source, {}).has_value());
    }
    void offer(std::uint64_t first, std::uint64_t count, PageSource source = PageSource::Guest) {
        REQUIRE(runs.offer({first, count}, source, {}).has_value());
    }
    void finish() {
        REQUIRE(runs.flush({}).has_value());
        REQUIRE(window.drain().has_value());
    }
    // The runs that were written, in pages of the block.
    [[nodiscard]] std::vector<PageRun> written(std::uint64_t pages_offset = 1 << 20) const {
        std::vector<PageRun> out;
        for (const Recorded& seen : record)
            out.push_back({(seen.offset - pages_offset) / kPageSize, seen.bytes() / kPageSize});
        return out;
    }

    std::byte* base = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 40);
    std::string name = "m0";
    mfd::Counters counters{1};
    std::vector<Recorded> record;
    mfd::TransferWindow window;
    RunBuilder runs;
};

alignas(4096) std::byte stand_in[4 * 4096];

mfd::RunLimits limits(std::size_t transfer_pages, std::size_t bridge_pages) {
    return {transfer_pages * kPageSize, bridge_pages * kPageSize, std::nullopt, stand_in};
}

} // namespace

TEST_CASE("adjacent runs become one write", "[run_builder]") {
    RunFixture f(limits(256, 0));
    f.add(3, 2);
    f.add(5, 1);
    f.add(6, 10);
    f.finish();
    REQUIRE(f.written() == std::vector<PageRun>{{3, 13}});
    REQUIRE(f.record[0].parts.size() == 1);
    CHECK(f.record[0].parts[0].iov_base == f.base + 3 * kPageSize);
}

TEST_CASE("a gap is written along up to the bridge's length and not a page longer",
          "[run_builder]") {
    RunFixture f(limits(256, 8));
    f.add(0, 1);
    f.offer(1, 8);
    f.add(9, 1);
    f.offer(10, 9);
    f.add(19, 1);
    f.finish();
    CHECK(f.written() == std::vector<PageRun>{{0, 10}, {19, 1}});
}

TEST_CASE("a gap in pieces counts as a whole, and one at the end is not written", "[run_builder]") {
    RunFixture f(limits(256, 8));
    f.add(0, 1);
    f.offer(1, 4);
    f.offer(5, 4);
    f.add(9, 1);
    f.offer(10, 4);
    f.offer(14, 5);
    f.add(19, 1);
    f.offer(20, 3);
    f.finish();
    CHECK(f.written() == std::vector<PageRun>{{0, 10}, {19, 1}});
}

TEST_CASE("pages that were not offered are never written along", "[run_builder]") {
    RunFixture f(limits(256, 8));
    f.add(0, 1);
    f.add(2, 1);
    f.offer(3, 1);
    f.add(5, 1); // page 4 was left out
    f.finish();
    CHECK(f.written() == std::vector<PageRun>{{0, 1}, {2, 1}, {5, 1}});
}

TEST_CASE("long runs are cut at the transfer size", "[run_builder]") {
    RunFixture f(limits(16, 8));
    f.add(1, 40);
    f.finish();
    CHECK(f.written() == std::vector<PageRun>{{1, 16}, {17, 16}, {33, 8}});
}

TEST_CASE("at a low rate transfers are cut to a fiftieth of a second", "[run_builder]") {
    // 4 pages and a bit; the debt of the first transfer is paid within the test's time.
    mfd::RateLimiter limiter(4 * kPageSize * 50 + 50);
    RunFixture f(limits(16, 8), 1 << 20, &limiter);
    f.add(1, 6);
    f.finish();
    CHECK(f.written() == std::vector<PageRun>{{1, 4}, {5, 2}});
}

TEST_CASE("however low the rate, a transfer has a page", "[run_builder]") {
    mfd::RateLimiter limiter(1);
    RunFixture f(limits(16, 8), 1 << 20, &limiter);
    f.add(1, 1);
    f.finish();
    CHECK(f.written() == std::vector<PageRun>{{1, 1}});
}

TEST_CASE("a transfer that has begun keeps its size when the rate changes", "[run_builder]") {
    mfd::RateLimiter limiter(0);
    RunFixture f(limits(16, 8), 1 << 20, &limiter);
    f.add(1, 8);
    limiter.set_rate(1);
    f.add(9, 8);
    limiter.set_rate(0);
    f.finish();
    CHECK(f.written() == std::vector<PageRun>{{1, 16}});
}

TEST_CASE("stand-ins never point into the guest's memory", "[run_builder]") {
    RunFixture f(limits(256, 8));
    f.add(0, 1);
    f.offer(1, 6, PageSource::StandIn);
    f.add(7, 1);
    f.finish();
    REQUIRE(f.written() == std::vector<PageRun>{{0, 8}});
    const auto& parts = f.record[0].parts;
    REQUIRE(parts.size() == 4); // the stand-in has four pages
    CHECK(parts[0].iov_base == f.base);
    CHECK(parts[1].iov_base == stand_in);
    CHECK(parts[1].iov_len == 4 * kPageSize);
    CHECK(parts[2].iov_base == stand_in);
    CHECK(parts[2].iov_len == 2 * kPageSize);
    CHECK(parts[3].iov_base == f.base + 7 * kPageSize);
}

TEST_CASE("ends that are no whole device unit go through the buffered descriptor",
          "[run_builder]") {
    auto with_direct = limits(64, 0);
    with_direct.direct = mfd::DirectAlignment{4096, 16384};
    RunFixture f(with_direct);
    f.add(3, 10); // unit boundaries at 4, 8, 12
    f.add(17, 2); // inside one unit
    f.add(20, 4); // exactly one
    f.finish();
    REQUIRE(f.written() == std::vector<PageRun>{{3, 1}, {4, 8}, {12, 1}, {17, 2}, {20, 4}});
    CHECK(f.record[0].file == mfd::kBufferedFile);
    CHECK(f.record[1].file == mfd::kDirectFile);
    CHECK(f.record[2].file == mfd::kBufferedFile);
    CHECK(f.record[3].file == mfd::kBufferedFile);
    CHECK(f.record[4].file == mfd::kDirectFile);
}

TEST_CASE("memory aligned worse than the device wants goes through the buffered descriptor",
          "[run_builder]") {
    auto with_direct = limits(64, 0);
    with_direct.direct = mfd::DirectAlignment{65536, 4096};
    RunFixture f(with_direct);
    f.base += kPageSize;
    f.runs.set_target({{&f.name, 1 << 20}, f.base});
    f.add(0, 1);
    f.finish();
    CHECK(f.record.at(0).file == mfd::kBufferedFile);
}

TEST_CASE("any sequence of runs is written page by page where it belongs", "[run_builder]") {
    const auto seed = GENERATE(Catch::Generators::range(0U, 40U));
    std::mt19937_64 random(seed);
    const std::uint64_t unit = std::uint64_t{4096} << (random() % 4);
    const std::uint64_t pages_offset = kPageSize * (random() % 1000);
    const std::size_t transfer_pages = 1 + random() % 64; // one draw per statement: same everywhere
    auto with_direct = limits(transfer_pages, random() % 10);
    with_direct.direct = mfd::DirectAlignment{512, static_cast<std::uint32_t>(unit)};
    RunFixture f(with_direct, pages_offset);
    std::vector<int> wanted; // 1: added, 0: offered, -1: left out
    while (wanted.size() < 3000) {
        const std::uint64_t first = wanted.size();
        const std::uint64_t count = 1 + random() % 30;
        const auto source = random() % 2 == 0 ? PageSource::Guest : PageSource::StandIn;
        const auto kind = static_cast<int>(random() % 5);
        if (kind >= 2)
            f.add(first, count, source);
        else if (kind == 1)
            f.offer(first, count, source);
        wanted.insert(wanted.end(), count, kind >= 2 ? 1 : kind == 1 ? 0 : -1);
    }
    f.finish();
    std::vector<int> times(wanted.size());
    for (const Recorded& seen : f.record) {
        std::uint64_t at = seen.offset;
        REQUIRE(at % (seen.file == mfd::kDirectFile ? unit : kPageSize) == 0);
        REQUIRE(seen.bytes() % (seen.file == mfd::kDirectFile ? unit : kPageSize) == 0);
        REQUIRE(seen.bytes() <= std::max<std::uint64_t>(with_direct.transfer_bytes, unit));
        for (const iovec& part : seen.parts) {
            const auto* memory = static_cast<std::byte*>(part.iov_base);
            const bool guest = memory < stand_in || memory >= stand_in + sizeof stand_in;
            REQUIRE((!guest || f.base + (at - pages_offset) == memory));
            REQUIRE((guest || memory + part.iov_len <= stand_in + sizeof stand_in));
            for (std::uint64_t page = (at - pages_offset) / kPageSize;
                 page < (at - pages_offset + part.iov_len) / kPageSize; ++page)
                ++times.at(page);
            at += part.iov_len;
        }
    }
    std::uint64_t wrong = 0;
    for (std::size_t page = 0; page < wanted.size(); ++page)
        wrong += (wanted[page] == 1 && times[page] != 1) ||
                         (wanted[page] == 0 && times[page] > 1) ||
                         (wanted[page] == -1 && times[page] != 0)
                     ? 1
                     : 0;
    CHECK(wrong == 0);
}
