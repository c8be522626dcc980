// A mutex that Clang's thread safety analysis understands: members that it protects say
// MFD_GUARDED_BY(mu_), and touching them without the lock does not compile there.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define MFD_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define MFD_THREAD_ATTRIBUTE(x)
#endif

#define MFD_CAPABILITY(name) MFD_THREAD_ATTRIBUTE(capability(name))
#define MFD_SCOPED_CAPABILITY MFD_THREAD_ATTRIBUTE(scoped_lockable)
#define MFD_GUARDED_BY(mutex) MFD_THREAD_ATTRIBUTE(guarded_by(mutex))
#define MFD_REQUIRES(...) MFD_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define MFD_ACQUIRE(...) MFD_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define MFD_RELEASE(...) MFD_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define MFD_EXCLUDES(...) MFD_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

namespace mfd {

class MFD_CAPABILITY("mutex") Mutex {
public:
    void lock() MFD_ACQUIRE() { mu_.lock(); }
    void unlock() MFD_RELEASE() { mu_.unlock(); }

private:
    std::mutex mu_;
};

class MFD_SCOPED_CAPABILITY MutexLock {
public:
    explicit MutexLock(Mutex& mutex) MFD_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() MFD_RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

private:
    Mutex& mutex_;
};

// Waits on a Mutex itself: cv.wait(mu_, stop_token, [this]() MFD_REQUIRES(mu_) { ... }).
using CondVar = std::condition_variable_any;

} // namespace mfd
