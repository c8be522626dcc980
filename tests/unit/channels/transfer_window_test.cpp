#include "channels/transfer_window.hpp"

#include "proto/checked.hpp"
#include "scripted_engine.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cerrno>
#include <utility>

using mfd::kBufferedFile;
using mfd::kDirectFile;
using mfd::kPageSize;
using mfd::TransferBlock;
using mfd::TransferOp;
using mfd::test::Recorded;
using mfd::test::ScriptedEngine;

namespace {

constexpr std::uint64_t kOffset = 1 << 20;
constexpr std::uint64_t kBytes = 8 * kPageSize;

// A window over an engine that records. Memory is never touched, so any address will do.
struct Window {
    Window(std::size_t depth, ScriptedEngine::Answer answer)
        : window(std::make_unique<ScriptedEngine>(depth, std::move(answer), &record),
                 counters.channel(0), nullptr,
                 [this](const TransferBlock&, std::uint64_t offset, std::uint64_t bytes) {
                     inspected.emplace_back(offset, bytes);
                     return mfd::Result<void>{};
                 }) {}
    mfd::Result<void> transfer(TransferOp op, unsigned file) {
        auto* const memory = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 40);
        window.next_parts().push_back({memory, kPageSize});
        window.next_parts().push_back({memory + 2 * kBytes, kBytes - kPageSize});
        auto started = window.start(op, file, kOffset, {&name, kOffset}, {});
        auto drained = window.drain();
        return started.has_value() ? std::move(drained) : std::move(started);
    }

    std::string name = "m0";
    mfd::Counters counters{1};
    std::vector<Recorded> record;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> inspected;
    mfd::TransferWindow window;
};

int refuse_direct(const Recorded& transfer) {
    return transfer.file == kDirectFile ? EINVAL : 0;
}

} // namespace

TEST_CASE("a direct transfer that is refused goes on through the page cache", "[transfer_window]") {
    const auto op = GENERATE(TransferOp::Write, TransferOp::Read);
    Window window(GENERATE(1U, 4U), refuse_direct);
    REQUIRE(window.transfer(op, kDirectFile).has_value());
    REQUIRE(window.record.size() == 2);
    CHECK(window.record[0].file == kDirectFile);
    CHECK(window.record[1].file == kBufferedFile);
    CHECK(window.record[1].op == op);
    CHECK(window.record[1].offset == kOffset);
    REQUIRE(window.record[1].parts.size() == 2);
    CHECK(window.record[1].parts[1].iov_base == window.record[0].parts[1].iov_base);
    CHECK(window.record[1].bytes() == kBytes);
    CHECK(window.counters.direct_refusals() == 1);
    CHECK(window.counters.transfers() == 1);
    CHECK(window.counters.bytes() == kBytes);
    CHECK(window.inspected == std::vector{std::pair{kOffset, kBytes}});

    // The next one is direct again.
    REQUIRE(window.transfer(op, kDirectFile).has_value());
    CHECK(window.record[2].file == kDirectFile);
}

TEST_CASE("a direct transfer that is refused in its middle goes on there", "[transfer_window]") {
    const auto op = GENERATE(TransferOp::Write, TransferOp::Read);
    Window window(GENERATE(1U, 4U), [](const Recorded& transfer) {
        return mfd::test::Ending(refuse_direct(transfer), 3 * kPageSize);
    });
    REQUIRE(window.transfer(op, kDirectFile).has_value());
    REQUIRE(window.record.size() == 2);
    CHECK(window.record[1].file == kBufferedFile);
    CHECK(window.record[1].offset == kOffset + 3 * kPageSize);
    CHECK(window.record[1].bytes() == kBytes - 3 * kPageSize);
    REQUIRE(window.record[1].parts.size() == 1);
    CHECK(window.record[1].parts[0].iov_base ==
          static_cast<std::byte*>(window.record[0].parts[1].iov_base) + 2 * kPageSize);
    CHECK(window.counters.bytes() == kBytes);
    CHECK(window.inspected == std::vector{std::pair{kOffset, kBytes}});
}

TEST_CASE("other refusals, and one of the page cache, are the transfer's failure",
          "[transfer_window]") {
    Window full(4, [](const Recorded&) { return ENOSPC; });
    const auto refused = full.transfer(TransferOp::Write, kDirectFile);
    REQUIRE(refused.has_error());
    CHECK(refused.error().sys == ENOSPC);
    CHECK(full.record.size() == 1);

    Window invalid(4, [](const Recorded&) { return EINVAL; });
    const auto twice = invalid.transfer(TransferOp::Write, kDirectFile);
    REQUIRE(twice.has_error());
    CHECK(twice.error().what ==
          "write pages of block m0 at file offset 0x100000: Invalid argument");
    CHECK(invalid.record.size() == 2);
    CHECK(invalid.inspected.empty());
}
