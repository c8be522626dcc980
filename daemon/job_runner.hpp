// A job's thread, and the way from it to the control thread: what the job reports arrives there in
// order, as calls of the Listener. Made, used and destroyed on the control thread.
#pragma once

#include "channels/mutex.hpp"
#include "daemon/job.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

namespace mfd {

// A question from the job to the control thread that may be answered later, or never.
template <class T>
class Answer {
public:
    Answer() : state_(std::make_shared<State>()) {}

    // Once, on any thread.
    void give(Result<T> result) const {
        const MutexLock lock(state_->mu);
        state_->result.emplace(std::move(result));
        state_->given.notify_all();
    }
    // Errc::Cancelled when `stop` comes first.
    Result<T> wait(const std::stop_token& stop) const {
        State& state = *state_;
        const MutexLock lock(state.mu);
        if (!state.given.wait(state.mu, stop,
                              [&]() MFD_REQUIRES(state.mu) { return state.result.has_value(); }))
            return Error{Errc::Cancelled, "cancelled"};
        return *state.result;
    }

private:
    struct State {
        Mutex mu;
        CondVar given;
        std::optional<Result<T>> result MFD_GUARDED_BY(mu);
    };
    std::shared_ptr<State> state_;
};

class JobRunner final : public JobHost {
public:
    class Listener {
    public:
        virtual ~Listener() = default;
        virtual void job_opened() = 0;
        virtual void job_active() = 0;
        virtual void job_pass_started(std::uint64_t pass) = 0;
        virtual void job_throttles(std::uint32_t percent) = 0;
        virtual void job_needs_stop() = 0;
        virtual void job_wants_switchover(Answer<RunStatus> answer) = 0;
        virtual Result<std::vector<MemoryBackend*>>
        job_wants_blocks(const std::vector<BlockSpec>& listed) = 0;
    };

    // The listener outlives the runner. `thread_name`: at most 15 bytes.
    JobRunner(boost::asio::io_context& control, Listener& listener, std::string thread_name)
        : control_(control), listener_(listener), thread_name_(std::move(thread_name)),
          alive_(std::make_shared<bool>(true)) {}
    ~JobRunner() override;

    // Starts the thread. `work` runs on it, `done` afterwards on the control thread. It waits
    // for the thread when it is destroyed.
    template <class Outcome>
    void run(std::function<Result<Outcome>(JobHost&, const std::stop_token&)> work,
             std::function<void(Result<Outcome>)> done) {
        thread_ = std::jthread(
            [this, work = std::move(work), done = std::move(done)](const std::stop_token& stop) {
                name_this_thread();
                auto result = std::make_shared<Result<Outcome>>(work(*this, stop));
                post([done, result] { done(std::move(*result)); });
                left_behind_.reset();
                busy_with_rest_ = false;
            });
    }
    // The job's own thread, once it runs.
    [[nodiscard]] ThreadInfo thread() const { return {thread_name_, tid_}; }
    // After `done`: destroying the runner may take long.
    [[nodiscard]] bool busy_with_rest() const { return busy_with_rest_; }
    // Asks the work to end; it goes on to `done`.
    void cancel() { thread_.request_stop(); }

    void opened() override;
    void active() override;
    void pass_started(std::uint64_t pass) override;
    void throttle(std::uint32_t percent) override;
    void stop_needed() override;
    Result<RunStatus> switchover(const std::stop_token& stop) override;
    void leave_behind(std::shared_ptr<void> rest) override;
    Result<std::vector<MemoryBackend*>> guest_blocks(const std::vector<BlockSpec>& listed,
                                                     const std::stop_token& stop) override;

private:
    void name_this_thread();

    // Runs `call` on the control thread, unless the runner is gone by then.
    template <class F>
    void post(F call) {
        boost::asio::post(control_, [alive = std::weak_ptr<bool>(alive_), call = std::move(call)] {
            if (!alive.expired())
                call();
        });
    }

    boost::asio::io_context& control_;
    Listener& listener_;
    const std::string thread_name_;
    std::atomic<pid_t> tid_{0};
    std::shared_ptr<bool> alive_;
    std::shared_ptr<void> left_behind_; // of the job's thread
    std::atomic<bool> busy_with_rest_{false};
    std::jthread thread_; // last: joined before the rest is gone
};

} // namespace mfd
