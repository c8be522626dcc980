// Named threads that live as long as a job and do one pass after another, all of them together.
// The pool is used by one thread, the job's. A worker is made, run and destroyed on its own thread,
// so that what it owns (an io_uring) may be bound to that thread.
#pragma once

#include "channels/mutex.hpp"
#include "proto/error.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

namespace mfd {

class Worker {
public:
    Worker() = default;
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    virtual ~Worker() = default;
    // Does its share of the pass and returns with nothing in flight. Once `stop` is requested (by
    // the caller of the pass, or because another worker failed) it returns soon, with any result.
    virtual Result<void> run_pass(const std::stop_token& stop) = 0;
};

struct ThreadInfo {
    std::string name; // at most 15 bytes, as the kernel keeps them
    pid_t tid = 0;
};

class WorkerPool {
public:
    using MakeWorker = std::function<Result<std::unique_ptr<Worker>>(unsigned index)>;

    // Threads are named `prefix` and their number. Returns when every worker has been made, or with
    // the first error when one could not be.
    static Result<std::unique_ptr<WorkerPool>> start(unsigned workers, const std::string& prefix,
                                                     const MakeWorker& make);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    // Blocks until every worker has returned. The first error by time wins; Errc::Cancelled if only
    // `stop` ended the pass early.
    Result<void> run_pass(const std::stop_token& stop) MFD_EXCLUDES(mu_);

    [[nodiscard]] std::vector<ThreadInfo> threads() const MFD_EXCLUDES(mu_);

private:
    WorkerPool() = default;
    void run_thread(unsigned index, const std::string& name, const MakeWorker& make);
    void report(const Result<void>& result) MFD_REQUIRES(mu_);

    mutable Mutex mu_;
    CondVar to_workers_;
    CondVar to_owner_;
    std::uint64_t pass_ MFD_GUARDED_BY(mu_) = 0; // number of the pass that workers shall do
    unsigned busy_ MFD_GUARDED_BY(mu_) = 0;      // workers still being made, or in the pass
    bool closed_ MFD_GUARDED_BY(mu_) = false;
    std::optional<Error> error_ MFD_GUARDED_BY(mu_);
    bool cancelled_ MFD_GUARDED_BY(mu_) = false;
    std::stop_source pass_stop_ MFD_GUARDED_BY(mu_);
    std::vector<ThreadInfo> threads_info_ MFD_GUARDED_BY(mu_);
    std::vector<std::jthread> threads_; // last: joined before what they use is gone
};

} // namespace mfd
