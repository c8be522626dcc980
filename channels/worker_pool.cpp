#include "channels/worker_pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

namespace mfd {

namespace {
constexpr std::size_t kLongestThreadName = 15; // the kernel's TASK_COMM_LEN, less the NUL

// Moves the calling thread to the processor that is its own if all threads are counted round, and
// leaves it free to be moved again. Threads that are woken together often start on one processor,
// and the kernel takes longer to part them than a pass over some GiB of zeros.
void spread(unsigned index) {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    auto to_skip = index % static_cast<unsigned>(CPU_COUNT(&allowed));
    std::size_t cpu = 0;
    while (!CPU_ISSET(cpu, &allowed) || to_skip-- != 0)
        ++cpu;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(cpu, &own);
    if (::sched_setaffinity(0, sizeof own, &own) == 0)
        static_cast<void>(::sched_setaffinity(0, sizeof allowed, &allowed));
}
} // namespace

Result<std::unique_ptr<WorkerPool>> WorkerPool::start(unsigned workers, const std::string& prefix,
                                                      const MakeWorker& make) {
    std::unique_ptr<WorkerPool> pool(new WorkerPool);
    {
        MutexLock lock(pool->mu_);
        pool->busy_ = workers;
        pool->threads_info_.resize(workers);
    }
    for (unsigned index = 0; index < workers; ++index) {
        std::string name = (prefix + std::to_string(index)).substr(0, kLongestThreadName);
        pool->threads_.emplace_back([pool = pool.get(), index, name = std::move(name), make] {
            pool->run_thread(index, name, make);
        });
    }
    MutexLock lock(pool->mu_);
    pool->to_owner_.wait(pool->mu_, [&pool]() MFD_REQUIRES(pool->mu_) { return pool->busy_ == 0; });
    if (pool->error_)
        return *pool->error_;
    return pool;
}

WorkerPool::~WorkerPool() {
    {
        MutexLock lock(mu_);
        closed_ = true;
        to_workers_.notify_all();
    }
    threads_.clear(); // joins
}

void WorkerPool::report(const Result<void>& result) {
    if (!result) {
        if (result.error().code == Errc::Cancelled)
            cancelled_ = true;
        else if (!error_)
            error_ = result.error();
        pass_stop_.request_stop();
    }
    if (--busy_ == 0)
        to_owner_.notify_all();
}

void WorkerPool::run_thread(unsigned index, const std::string& name, const MakeWorker& make) {
    ::pthread_setname_np(::pthread_self(), name.c_str());
    auto made = make(index);
    std::uint64_t done_pass = 0;
    {
        MutexLock lock(mu_);
        threads_info_[index] = {name, ::gettid()};
        if (!made) {
            report(Result<void>(made.error()));
            return;
        }
        report({});
    }
    const std::unique_ptr<Worker> worker = std::move(*made);
    for (;;) {
        std::stop_token stop;
        {
            MutexLock lock(mu_);
            to_workers_.wait(mu_,
                             [&]() MFD_REQUIRES(mu_) { return closed_ || pass_ != done_pass; });
            if (closed_)
                return;
            done_pass = pass_;
            stop = pass_stop_.get_token();
        }
        spread(index);
        const auto result = worker->run_pass(stop);
        MutexLock lock(mu_);
        report(result);
    }
}

Result<void> WorkerPool::run_pass(const std::stop_token& stop) {
    std::stop_source pass_stop;
    // Before the workers begin, so that a stop requested earlier lets them do nothing. Runs on the
    // thread that cancels; without mu_, so it cannot wait for us.
    const std::stop_callback forward(stop, [&pass_stop] { pass_stop.request_stop(); });
    MutexLock lock(mu_);
    error_.reset();
    cancelled_ = false;
    pass_stop_ = pass_stop;
    busy_ = static_cast<unsigned>(threads_.size());
    ++pass_;
    to_workers_.notify_all();
    to_owner_.wait(mu_, [this]() MFD_REQUIRES(mu_) { return busy_ == 0; });
    if (error_)
        return *error_;
    if (cancelled_)
        return Error{Errc::Cancelled, "stopped on request"};
    return {};
}

std::vector<ThreadInfo> WorkerPool::threads() const {
    MutexLock lock(mu_);
    return threads_info_;
}

} // namespace mfd
