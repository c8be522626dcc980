#include "daemon/guest/workload.hpp"

#include "channels/mutex.hpp"
#include "daemon/guest/page_chooser.hpp"
#include "daemon/guest/workload_page.hpp"
#include "proto/checked.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace mfd {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

// A thread may be this far ahead of its rate before it waits: a wait for every page would cost more
// than the page.
constexpr nanoseconds kMaxAhead = std::chrono::milliseconds(1);
// A thread that was kept from running makes up for at most this much.
constexpr nanoseconds kMaxBehind = std::chrono::milliseconds(100);
constexpr std::uint32_t kMaxThrottle = 99; // QEMU's bound, too: at 100 the guest would stand still

// Time a page should take for the workload's threads to reach the rate together; 0: unlimited.
nanoseconds page_interval(const WorkloadProperties& p) {
    if (p.rate == 0)
        return nanoseconds(0);
    const double seconds = static_cast<double>(kPageSize) * p.threads / static_cast<double>(p.rate);
    // A rate of less than a page per hour is as good as one.
    return std::chrono::duration_cast<nanoseconds>(
        std::chrono::duration<double>(std::min(seconds, 3600.0)));
}

} // namespace

// How pausing works: a thread counts itself in active_ before it writes and out when it stops, both
// under the lock. Between two pages it looks at go_, so pause() clears go_ and waits for active_ to
// become 0.
class GuestWorkload::Impl {
public:
    Impl(WorkloadProperties properties, const MemoryBackend& memory)
        : properties_(std::move(properties)), memory_(memory),
          interval_(page_interval(properties_)) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    ~Impl() {
        {
            const MutexLock lock(mu_);
            end_ = true;
            go_.store(false);
        }
        wake_.notify_all();
    }

    void start_threads() {
        const std::uint64_t pages = memory_.size() / kPageSize;
        for (std::uint64_t i = 0; i < properties_.threads; ++i) {
            const std::uint64_t first = pages * i / properties_.threads;
            const PageRun slice{first, pages * (i + 1) / properties_.threads - first};
            threads_.emplace_back([this, slice, i] { run(slice, i); });
        }
    }

    void pause() {
        const MutexLock lock(mu_);
        go_.store(false);
        wake_.notify_all(); // those who wait for their time wait for resume() instead
        idle_.wait(mu_, [this]() MFD_REQUIRES(mu_) { return active_ == 0; });
        if (!pause_began_)
            pause_began_ = Clock::now();
    }

    void resume() {
        const MutexLock lock(mu_);
        go_.store(true);
        wake_.notify_all();
    }

    [[nodiscard]] std::chrono::nanoseconds last_pause() {
        const MutexLock lock(mu_);
        return last_pause_;
    }

    [[nodiscard]] const WorkloadProperties& properties() const { return properties_; }
    [[nodiscard]] bool paused() const { return !go_.load(); }

    std::atomic<std::uint64_t> pages_written{0};
    std::atomic<std::uint32_t> throttle{0};

private:
    struct Writer {
        PageChooser chooser;
        std::uint64_t generation = 0;
        Clock::time_point due; // when the next page should be written
    };

    void run(PageRun slice, std::uint64_t index) MFD_EXCLUDES(mu_) {
        Writer writer{{properties_.pattern, slice, properties_.seed + index}, 0, Clock::now()};
        mu_.lock();
        for (;;) {
            wake_.wait(mu_, [this]() MFD_REQUIRES(mu_) { return end_ || go_.load(); });
            if (end_)
                break;
            ++active_;
            if (const auto began = std::exchange(pause_began_, std::nullopt))
                last_pause_ = Clock::now() - *began;
            mu_.unlock();
            write_until_due(writer);
            mu_.lock();
            if (--active_ == 0)
                idle_.notify_all();
            wake_.wait_until(mu_, writer.due - kMaxAhead,
                             [this]() MFD_REQUIRES(mu_) { return end_ || !go_.load(); });
        }
        mu_.unlock();
    }

    // Writes pages until it is paused or ahead of its rate.
    void write_until_due(Writer& writer) {
        auto now = Clock::now();
        writer.due = std::max(writer.due, now - kMaxBehind);
        while (go_.load(std::memory_order_relaxed) && writer.due - now <= kMaxAhead) {
            write_page(writer);
            const auto after = Clock::now();
            // Of a page's time (p of 100) is spent waiting, so the whole is the rest's 100th part.
            const auto share =
                100 - std::min(throttle.load(std::memory_order_relaxed), kMaxThrottle);
            writer.due += std::max<nanoseconds>(interval_, after - now) * 100 / share;
            if (interval_.count() == 0 && share == 100)
                writer.due = after; // nothing to keep to
            now = after;
        }
    }

    void write_page(Writer& writer) {
        const PageWrite write = writer.chooser.next();
        const auto page = memory_.memory().subspan(write.page * kPageSize, kPageSize);
        if (write.zero)
            zero_page(page);
        else
            fill_page(page, {write.page, ++writer.generation, properties_.seed});
        pages_written.fetch_add(1, std::memory_order_relaxed);
    }

    const WorkloadProperties properties_;
    const MemoryBackend& memory_;
    const nanoseconds interval_;

    Mutex mu_;
    CondVar wake_;                // go_ or end_ changed
    CondVar idle_;                // active_ became 0
    std::atomic<bool> go_{false}; // changed under the lock, looked at without
    bool end_ MFD_GUARDED_BY(mu_) = false;
    std::size_t active_ MFD_GUARDED_BY(mu_) = 0; // threads that may be writing
    std::optional<Clock::time_point> pause_began_ MFD_GUARDED_BY(mu_);
    nanoseconds last_pause_ MFD_GUARDED_BY(mu_){0};

    std::vector<std::jthread> threads_; // last: they use all of the above
};

GuestWorkload::GuestWorkload(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GuestWorkload::~GuestWorkload() = default;

Result<std::unique_ptr<GuestWorkload>> GuestWorkload::make(WorkloadProperties properties,
                                                           const MemoryBackend& memory) {
    const std::string what =
        "start emulated guest '" + properties.id + "' on memory '" + memory.id() + "'";
    if (memory.readonly())
        return Error{Errc::BadArgument, what + ": the memory is read-only"};
    if (properties.threads > memory.size() / kPageSize)
        return Error{Errc::BadArgument,
                     what + ": the memory has fewer pages than there are threads"};
    auto impl = std::make_unique<Impl>(std::move(properties), memory);
    try {
        impl->start_threads();
    } catch (
        const std::system_error& error) { // the only word std::thread has for "no more threads"
        return make_sys_error(what, error.code().value());
    }
    return std::unique_ptr<GuestWorkload>(new GuestWorkload(std::move(impl)));
}

void GuestWorkload::pause() {
    impl_->pause();
}
void GuestWorkload::resume() {
    impl_->resume();
}
bool GuestWorkload::paused() const {
    return impl_->paused();
}

void GuestWorkload::set_throttle(std::uint32_t percent) {
    impl_->throttle.store(std::min(percent, kMaxThrottle));
}

std::uint32_t GuestWorkload::throttle() const {
    return impl_->throttle.load();
}
std::uint64_t GuestWorkload::pages_written() const {
    return impl_->pages_written.load();
}
std::chrono::nanoseconds GuestWorkload::last_pause() const {
    return impl_->last_pause();
}
const WorkloadProperties& GuestWorkload::properties() const {
    return impl_->properties();
}

std::vector<QomProperty> GuestWorkload::qom_properties() const {
    const WorkloadProperties& p = properties();
    return {{"type", "string", kWorkloadTypeName},
            {"memdev", "string", p.memdev},
            {"threads", "int", p.threads},
            {"rate", "int", p.rate},
            {"pattern", "string", workload_pattern_name(p.pattern)},
            {"seed", "int", p.seed},
            {"throttle", "int", throttle()},
            {"pages-written", "int", pages_written()},
            {"last-pause-ns", "int", last_pause().count()}};
}

} // namespace mfd
