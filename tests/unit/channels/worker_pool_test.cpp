#include "channels/worker_pool.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <atomic>
#include <functional>

using mfd::Errc;
using mfd::Error;
using mfd::Result;
using mfd::Worker;
using mfd::WorkerPool;

namespace {

class FunctionWorker final : public Worker {
public:
    explicit FunctionWorker(std::function<Result<void>(const std::stop_token&)> run)
        : run_(std::move(run)) {}
    Result<void> run_pass(const std::stop_token& stop) override { return run_(stop); }

private:
    std::function<Result<void>(const std::stop_token&)> run_;
};

std::unique_ptr<WorkerPool>
start(unsigned workers, std::function<Result<void>(unsigned, const std::stop_token&)> run) {
    auto pool = WorkerPool::start(
        workers, "test_", [run](unsigned index) -> Result<std::unique_ptr<Worker>> {
            return std::unique_ptr<Worker>(std::make_unique<FunctionWorker>(
                [run, index](const std::stop_token& stop) { return run(index, stop); }));
        });
    REQUIRE(pool.has_value());
    return std::move(*pool);
}

// What a worker does that only ends when told to.
Result<void> wait_for_stop(const std::stop_token& stop) {
    mfd::Mutex mutex;
    mfd::CondVar never;
    mfd::MutexLock lock(mutex);
    never.wait(mutex, stop, [] { return false; });
    return Error{Errc::Cancelled, "stopped"};
}

} // namespace

TEST_CASE("every worker runs once in each pass", "[worker_pool]") {
    std::array<std::atomic<int>, 4> runs{};
    const auto pool = start(4, [&](unsigned index, const std::stop_token&) -> Result<void> {
        ++runs[index];
        return {};
    });
    for (int pass = 1; pass <= 50; ++pass) {
        REQUIRE(pool->run_pass({}).has_value());
        for (const auto& count : runs)
            REQUIRE(count == pass);
    }
}

TEST_CASE("the first error ends the pass, stops the others, and the next pass is clean",
          "[worker_pool]") {
    std::atomic<bool> fail{true};
    const auto pool = start(3, [&](unsigned index, const std::stop_token& stop) -> Result<void> {
        if (!fail)
            return {};
        if (index == 1)
            return Error{Errc::Io, "disk on fire", 5};
        return wait_for_stop(stop);
    });
    const auto failed = pool->run_pass({});
    REQUIRE(failed.has_error());
    CHECK(failed.error().what == "disk on fire");
    fail = false;
    CHECK(pool->run_pass({}).has_value());
}

TEST_CASE("a stop from outside ends a pass as cancelled", "[worker_pool]") {
    std::stop_source stop;
    const auto pool = start(3, [&](unsigned index, const std::stop_token& token) -> Result<void> {
        if (index == 0)
            stop.request_stop();
        return wait_for_stop(token);
    });
    const auto result = pool->run_pass(stop.get_token());
    REQUIRE(result.has_error());
    CHECK(result.error().code == Errc::Cancelled);
}

TEST_CASE("a worker that cannot be made fails the start, and nothing is left running",
          "[worker_pool]") {
    std::atomic<int> alive{0};
    struct Counted final : Worker {
        explicit Counted(std::atomic<int>& count) : count_(count) { ++count_; }
        ~Counted() override { --count_; }
        Result<void> run_pass(const std::stop_token&) override { return {}; }
        std::atomic<int>& count_;
    };
    const auto pool =
        WorkerPool::start(4, "test_", [&](unsigned index) -> Result<std::unique_ptr<Worker>> {
            if (index == 2)
                return Error{Errc::Io, "no ring for you", 12};
            return std::unique_ptr<Worker>(std::make_unique<Counted>(alive));
        });
    REQUIRE(pool.has_error());
    CHECK(pool.error().what == "no ring for you");
    CHECK(alive == 0);
}

TEST_CASE("threads carry their names and ids", "[worker_pool]") {
    const auto pool = start(2, [](unsigned, const std::stop_token&) -> Result<void> { return {}; });
    const auto threads = pool->threads();
    REQUIRE(threads.size() == 2);
    CHECK(threads[0].name == "test_0");
    CHECK(threads[1].name == "test_1");
    CHECK(threads[0].tid > 0);
    CHECK(threads[0].tid != threads[1].tid);
}
