#include "daemon/job_runner.hpp"

#include <pthread.h>
#include <unistd.h>

namespace mfd {

JobRunner::~JobRunner() = default;

void JobRunner::name_this_thread() {
    tid_ = ::gettid();
    pthread_setname_np(pthread_self(), thread_name_.c_str());
}

void JobRunner::opened() {
    post([this] { listener_.job_opened(); });
}

void JobRunner::active() {
    post([this] { listener_.job_active(); });
}

void JobRunner::pass_started(std::uint64_t pass) {
    post([this, pass] { listener_.job_pass_started(pass); });
}

void JobRunner::throttle(std::uint32_t percent) {
    post([this, percent] { listener_.job_throttles(percent); });
}

void JobRunner::stop_needed() {
    post([this] { listener_.job_needs_stop(); });
}

void JobRunner::leave_behind(std::shared_ptr<void> rest) {
    busy_with_rest_ = rest != nullptr;
    left_behind_ = std::move(rest);
}

Result<RunStatus> JobRunner::switchover(const std::stop_token& stop) {
    const Answer<RunStatus> answer;
    post([this, answer] { listener_.job_wants_switchover(answer); });
    return answer.wait(stop);
}

Result<std::vector<MemoryBackend*>> JobRunner::guest_blocks(const std::vector<BlockSpec>& listed,
                                                            const std::stop_token& stop) {
    const Answer<std::vector<MemoryBackend*>> answer;
    post([this, answer, listed] { answer.give(listener_.job_wants_blocks(listed)); });
    return answer.wait(stop);
}

} // namespace mfd
